/** `--addr`: one address or several, parted by commas; what is left out of an address is filled in. */
import { fail, type Outcome, succeed } from '../../platform/failure.ts'

export const DEFAULT_ADDRESS = '127.0.0.1:7379'
const DEFAULT_HOST = '127.0.0.1'
const DEFAULT_PORT = '7379'

/** Each `host:port`; an IPv6 host without its brackets, as sockets want it. */
export function parseAddresses(text: string): Outcome<readonly string[]> {
  const addresses: string[] = []
  for (const part of text.split(',').map((piece) => piece.trim())) {
    const address = parseAddress(part)
    if (address === null) {
      return fail('usage', `--addr ${text}: '${part}' is no address`, 'give HOST:PORT, or several parted by commas')
    }
    if (!addresses.includes(address)) addresses.push(address)
  }
  return succeed(addresses)
}

/** As the client takes it: an IPv6 host in brackets again. */
export function clientAddress(address: string): string {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon)
  return host.includes(':') ? `[${host}]${address.slice(colon)}` : address
}

/** `host:port`, `[v6]:port`, `host`, `port`, `:port`. */
function parseAddress(text: string): string | null {
  const found = /^(?:\[(?<v6>[0-9A-Fa-f:.]+)\]|(?<host>[^\s:/[\]]*))(?::(?<port>\d{1,5}))?$/.exec(text)
  if (text === '' || found?.groups === undefined) return null
  const { v6, host, port } = found.groups
  const isPortAlone = port === undefined && host !== undefined && /^\d{1,5}$/.test(host)
  const number = Number(isPortAlone ? host : (port ?? DEFAULT_PORT))
  if (number < 1 || number > 65_535) return null
  const name = isPortAlone ? DEFAULT_HOST : (v6 ?? host)
  return `${name === '' ? DEFAULT_HOST : name}:${number}`
}
