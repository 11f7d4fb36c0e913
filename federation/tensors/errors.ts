// What is said about bytes that are not what their sender promised. The receiver refuses them; nothing else is harmed.

/** The bytes are not a valid encoding: says what was found and what would be right. */
export class EncodingError extends Error {
  override name = 'EncodingError'
}
