/** What doors may ask of the commands before they log them. */
export { checkSyntax } from './registry.ts'
