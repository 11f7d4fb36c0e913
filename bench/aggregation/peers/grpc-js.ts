// A gRPC server as grpc-js makes it when nothing is set: it takes a stream of bytes and says its port. For each line of its
// standard input it answers, as every contender does.
import { Server, ServerCredentials, type ServerReadableStream, type sendUnaryData } from '@grpc/grpc-js'
import { createInterface } from 'node:readline'
import { SEND } from './grpc-js-service.ts'

const server = new Server()
server.addService(
  { send: SEND },
  {
    send: (stream: ServerReadableStream<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => {
      stream.resume()
      stream.on('end', () => callback(null, Buffer.from('accepted')))
    },
  },
)
const port = await new Promise<number>((resolve, reject) => {
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
    if (error) reject(error)
    else resolve(bound)
  })
})
process.stdout.write(`${JSON.stringify({ port })}\n`)
for await (const _line of createInterface(process.stdin)) process.stdout.write('{}\n')
