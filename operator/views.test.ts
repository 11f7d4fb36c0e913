import { describe, expect, it } from 'vitest'
import type { ContainerStatus, Pod } from './kube/resources.ts'
import { podView } from './views.ts'

const waiting = (name: string, reason: string, message?: string): ContainerStatus => ({
  name,
  state: { waiting: { reason, message } },
})

function viewOf(status: Pod['status']): { reason: string; message: string } {
  const { reason, message } = podView({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'digits-1' },
    status,
  })
  return { reason, message }
}

describe('what stands in the way of a pod', () => {
  it.each([
    {
      name: 'nothing, while its containers are made',
      status: {
        initContainerStatuses: [waiting('prepare-folder', 'ContainerCreating')],
        containerStatuses: [waiting('train', 'PodInitializing')],
      },
      want: { reason: '', message: '' },
    },
    {
      name: 'an image that cannot be had',
      status: { containerStatuses: [waiting('train', 'ImagePullBackOff', 'no such image')] },
      want: { reason: 'ImagePullBackOff', message: 'no such image' },
    },
    {
      name: 'a folder that was refused, in the words of the container that did',
      status: {
        initContainerStatuses: [
          {
            ...waiting('prepare-folder', 'CrashLoopBackOff', 'back-off 10s'),
            lastState: { terminated: { exitCode: 1, message: '/campaigns/x belongs to user 1000' } },
          },
        ],
        containerStatuses: [waiting('train', 'PodInitializing')],
      },
      want: { reason: 'CrashLoopBackOff', message: 'back-off 10s — /campaigns/x belongs to user 1000' },
    },
    {
      name: 'nothing, when its work is done',
      status: { containerStatuses: [{ name: 'train', state: { terminated: { exitCode: 0 } } }] },
      want: { reason: '', message: '' },
    },
    {
      name: 'a container that has just failed, in its own words',
      status: {
        containerStatuses: [
          {
            name: 'aggregate',
            state: { terminated: { exitCode: 1, reason: 'Error', message: 'bad setting' } },
          },
        ],
      },
      want: { reason: 'Error', message: 'bad setting' },
    },
    {
      name: 'a container that was ended without a word',
      status: {
        containerStatuses: [{ name: 'train', state: { terminated: { exitCode: 137, reason: 'OOMKilled' } } }],
      },
      want: { reason: 'OOMKilled', message: 'exit code 137' },
    },
    {
      name: 'no node that would take it',
      status: {
        conditions: [
          { type: 'PodScheduled', status: 'False' as const, reason: 'Unschedulable', message: 'no memory' },
        ],
      },
      want: { reason: 'Unschedulable', message: 'no memory' },
    },
  ])('is $name', ({ status, want }) => {
    expect(viewOf(status)).toEqual(want)
  })
})
