"""Simulates the traffic data set of this example with Eclipse SUMO.

Writes data/segments.csv (the road network) and data/day<N>.csv.gz (one line per segment and minute).
The same release of SUMO gives the same files. Nothing in the demo runs this script: its output is committed.

    python3 -m venv venv && venv/bin/pip install eclipse-sumo==1.28.0 && venv/bin/python make_data.py
"""
import argparse
import csv
import gzip
import io
import math
import os
import random
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

GRID = 5
SPACING_M = 300
CENTRE_M = SPACING_M * (GRID - 1) / 2
DAY_S = 12 * 3600  # a day is simulated from 07:00 to 19:00
TRUCK_SHARE = 0.35  # of the trips from or to the southeast
DISTRICTS = ("northwest", "northeast", "southwest", "southeast")
QUIET_LIMIT_MPS = 8.33  # 30 km/h in the southwest; everywhere else SUMO's default of 50 km/h
WAITING_MAX = 999


def tool(name):
    return os.path.join(os.path.dirname(sys.executable), name)


def run(*args):
    subprocess.run([tool(args[0]), *args[1:]], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def district_of(x, y):
    return ("north" if y > CENTRE_M else "south") + ("east" if x > CENTRE_M else "west")


def read_segments(net_file):
    """Every road segment, with the middle of its lane: traffic keeps right, so that each direction of an
    avenue on the border of two districts lies clearly in one of them."""
    root, segments = ET.parse(net_file).getroot(), []
    signals = {j.get("id") for j in root.findall("junction") if j.get("type") == "traffic_light"}
    for edge in root.findall("edge"):
        if edge.get("function"):
            continue
        lane = edge.find("lane")
        points = [tuple(map(float, p.split(","))) for p in lane.get("shape").split()]
        x, y = (sum(p[i] for p in (points[0], points[-1])) / 2 for i in (0, 1))
        segments.append(
            {
                "segment": edge.get("id"),
                "from": edge.get("from"),
                "to": edge.get("to"),
                "length_m": float(lane.get("length")),
                "limit_mps": float(lane.get("speed")),
                "signals": int(edge.get("to") in signals),
                "x_m": round(x, 1),
                "y_m": round(y, 1),
                "district": district_of(x, y),
            }
        )
    return segments


def build_network(folder):
    """A grid of 5 x 5 junctions: signals in the north, give way to the right in the southwest, main roads in the southeast."""
    draft, net = os.path.join(folder, "draft"), os.path.join(folder, "net.xml")
    run("netgenerate", "--grid", "--grid.number", str(GRID), "--grid.length", str(SPACING_M), "--default.lanenumber", "1",
        "--seed", "11", "-o", draft + ".net.xml", "--plain-output-prefix", draft)
    nodes, edges = ET.parse(draft + ".nod.xml"), ET.parse(draft + ".edg.xml")
    place = {n.get("id"): (float(n.get("x")), float(n.get("y"))) for n in nodes.getroot().iter("node")}
    for node in nodes.getroot().iter("node"):
        x, y = place[node.get("id")]
        corner = all(v in (0, 2 * CENTRE_M) for v in (x, y))
        if y >= CENTRE_M and not corner:
            node.set("type", "traffic_light")
        elif x < CENTRE_M:
            node.set("type", "right_before_left")
        else:
            node.set("type", "priority")
    for edge in edges.getroot().iter("edge"):
        (x0, y0), (x1, y1) = place[edge.get("from")], place[edge.get("to")]
        # Traffic keeps right of the line between two junctions.
        side_x, side_y = (y1 - y0) / SPACING_M, (x0 - x1) / SPACING_M
        district = district_of((x0 + x1) / 2 + side_x, (y0 + y1) / 2 + side_y)
        if district == "southwest":
            edge.set("speed", str(QUIET_LIMIT_MPS))
        if district == "southeast":
            edge.set("priority", "3" if y0 == y1 else "1")
    nodes.write(draft + ".nod.xml")
    edges.write(draft + ".edg.xml")
    run("netconvert", "-n", draft + ".nod.xml", "-e", draft + ".edg.xml", "-o", net)
    return net


def bump(t_s, hour, width_h):
    """A peak of height 1 around an hour of the day."""
    return math.exp(-(((t_s / 3600 + 7 - hour) / width_h) ** 2))


def demand(t_s, day):
    """Vehicles per hour for each (origin, destination) pair of districts at a time of a day."""
    morning, evening = bump(t_s, 8.4, 0.9), bump(t_s, 17.3, 1.1)
    noon = bump(t_s, 12.7, 1.0)
    event_in = bump(t_s, day["event_h"] - 0.6, 0.35)
    event_out = bump(t_s, day["event_h"] + 1.6, 0.3)
    scale = day["scale"]
    homes, centre, hall, works = "southwest", "northeast", "northwest", "southeast"
    day_time = 1 - 0.55 * bump(t_s, 6.6, 0.7) - 0.6 * bump(t_s, 19.2, 0.9)
    rates = {(a, b): 45.0 * day_time for a in DISTRICTS for b in DISTRICTS}
    rates[centre, centre] += 560 * day_time + 200 * noon
    rates[homes, homes] += 130 * morning + 160 * evening
    rates[homes, centre] += 520 * morning + 60 * noon
    rates[centre, homes] += 460 * evening + 60 * noon
    rates[homes, works] += 260 * morning
    rates[works, homes] += 260 * evening
    rates[works, works] += 90 * noon
    for a in (homes, centre):
        rates[a, hall] += 430 * event_in
        rates[hall, a] += 430 * event_out
    rates[hall, hall] += 200 * event_in + 200 * event_out + 60 * noon
    return {pair: rate * scale for pair, rate in rates.items()}


def plan_day(number):
    rng = random.Random(1000 + number)
    return {"number": number, "event_h": rng.uniform(10.5, 15.5), "scale": rng.uniform(1.65, 1.85)}, rng


def write_trips(path, segments, day, rng):
    by_district = {d: [s["segment"] for s in segments if s["district"] == d] for d in DISTRICTS}
    trips = 0
    with open(path, "w") as f:
        f.write('<routes><vType id="car"/><vType id="truck" vClass="truck"/>\n')
        for t in range(0, DAY_S, 60):
            departures = []
            for (a, b), rate in demand(t, day).items():
                expected = rate / 60
                count = int(expected) + (rng.random() < expected - int(expected))
                for _ in range(count):
                    start = rng.choice(by_district[a])
                    end = rng.choice([e for e in by_district[b] if e != start])
                    kind = "truck" if "southeast" in (a, b) and rng.random() < TRUCK_SHARE else "car"
                    departures.append((t + rng.random() * 60, start, end, kind))
            for when, start, end, kind in sorted(departures):
                f.write(f'<trip id="v{trips}" type="{kind}" depart="{when:.1f}" from="{start}" to="{end}" departLane="free"/>\n')
                trips += 1
        f.write("</routes>\n")
    return trips


# Something that blocks a lane: how often in a day, how long, in which district.
INCIDENTS = (("northeast", 22, (180, 480)), ("northwest", 8, (180, 420)),
             ("southwest", 6, (180, 420)), ("southeast", 4, (1200, 3600)))


def write_incidents(path, segments, rng):
    rows = []
    for district, count, (shortest, longest) in INCIDENTS:
        lanes = [s for s in segments if s["district"] == district]
        for _ in range(count):
            rows.append((rng.randint(600, DAY_S - 4200), rng.choice(lanes), rng.randint(shortest, longest)))
    rows.sort(key=lambda r: r[0])
    with open(path, "w") as f:
        f.write('<routes><vType id="broken"/>\n')
        for i, (when, s, duration) in enumerate(rows):
            edge, length = s["segment"], s["length_m"]
            f.write(f'<vehicle id="stop{i}" type="broken" depart="{when}" departPos="{length * 0.5:.1f}" departSpeed="0">'
                    f'<route edges="{edge}"/><stop lane="{edge}_0" endPos="{length * 0.55:.1f}" duration="{duration}"/></vehicle>\n')
        f.write("</routes>\n")
    return len(rows)


def simulate(folder, net, segments, number):
    day, rng = plan_day(number)
    trips, stops, extra, out = (os.path.join(folder, f"{n}{number}.xml") for n in ("trips", "stops", "extra", "edges"))
    n_trips = write_trips(trips, segments, day, rng)
    n_stops = write_incidents(stops, segments, rng)
    with open(extra, "w") as f:
        f.write(f'<additional><edgeData id="m" freq="60" file="{out}" excludeEmpty="false" withInternal="false"/></additional>')
    run("sumo", "-n", net, "-r", f"{trips},{stops}", "-a", extra, "--end", str(DAY_S), "--step-length", "1",
        "--time-to-teleport", "120", "--no-step-log", "--no-warnings", "--seed", str(100 + number),
        "--device.rerouting.probability", "0.6", "--device.rerouting.period", "120")
    print(f"day {number}: {n_trips} trips, {n_stops} blocked lanes, scale {day['scale']:.2f}, event {day['event_h']:.1f}h", flush=True)
    return out


def number_text(value, digits):
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".") if digits else str(round(value))
    return "0" if text in ("-0", "") else text


def write_day(edges_file, target):
    """A compact CSV: minute, segment, mean speed (empty where no vehicle was), density, in, out, waiting."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["minute", "segment", "speed_mps", "density_vpkm", "entered", "left", "waiting_s"])
    for _, interval in ET.iterparse(edges_file):
        if interval.tag != "interval":
            continue
        minute = int(float(interval.get("begin"))) // 60
        for e in interval.findall("edge"):
            seen = float(e.get("sampledSeconds", 0)) > 0
            speed = number_text(float(e.get("speed")), 1) if seen and e.get("speed") else ""
            entered = int(e.get("entered", 0)) + int(e.get("departed", 0))
            left = int(e.get("left", 0)) + int(e.get("arrived", 0))
            out.writerow([minute, e.get("id"), speed, number_text(float(e.get("density", 0) or 0), 1), entered, left,
                          number_text(min(float(e.get("waitingTime", 0)), WAITING_MAX), 0)])
        interval.clear()
    with open(target, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as f:
        f.write(text.getvalue().encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "data"))
    parser.add_argument("--days", type=int, nargs="*", default=[1, 2, 3, 5], help="a day's number is its seed")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        net = build_network(folder)
        segments = read_segments(net)
        with open(os.path.join(args.out, "segments.csv"), "w", newline="") as f:
            writer = csv.DictWriter(f, segments[0].keys(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(segments)
        for number in args.days:
            write_day(simulate(folder, net, segments, number), os.path.join(args.out, f"day{number}.csv.gz"))


if __name__ == "__main__":
    main()
