// The method that stock grpc-js is measured with: a stream of bytes, which are not looked at.
import { makeGenericClientConstructor, type MethodDefinition } from '@grpc/grpc-js'

const same = (bytes: Buffer): Buffer => bytes

export const SEND: MethodDefinition<Buffer, Buffer> = {
  ...{ path: '/tributary.bench/Send', requestStream: true, responseStream: false },
  ...{ requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same },
}

export const SendClient = makeGenericClientConstructor({ send: SEND }, 'tributary.bench')
