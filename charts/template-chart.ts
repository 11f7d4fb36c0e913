// A cdk8s chart whose manifests may hold placeholders where cdk8s' types want a number, a map or a list: such fields
// are filled in after synthesis, which would otherwise take the placeholder apart.
import { Chart, JsonPatch, type ApiObject } from 'cdk8s'
import type { Construct } from 'constructs'
import { templateOf } from './helm.ts'

export class TemplateChart extends Chart {
  readonly #fields = new Map<ApiObject, Record<string, unknown>>()

  constructor(scope: Construct, id: string) {
    super(scope, id, { disableResourceNameHashes: true })
  }

  /** @param fields values by JSON pointer; the parent of each must exist */
  protected fill(object: ApiObject, fields: Record<string, unknown>): void {
    this.#fields.set(object, fields)
  }

  /** The chart's objects as YAML documents of a Helm template. */
  templates(): string {
    return this.apiObjects.map((object) => templateOf(this.#filled(object))).join('---\n')
  }

  #filled(object: ApiObject): object {
    const fields = Object.entries(this.#fields.get(object) ?? {})
    const patches = fields.map(([path, value]) => JsonPatch.add(path, value))
    return JsonPatch.apply(object.toJson(), ...patches) as object
  }
}
