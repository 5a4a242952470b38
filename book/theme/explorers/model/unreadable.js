/** Text that a model cannot read; the message is a whole sentence for the reader, `offers` are values to set. */
export class Unreadable extends Error {
  name = "Unreadable";

  constructor(message, offers = []) {
    super(message);
    this.offers = offers;
  }
}

// Half of a surrogate pair is no character; whoever encodes text writes this sign for it.
const REPLACEMENT = "\ufffd";

/** Show lone surrogates as the sign �; all other text stays. */
export function wellFormed(text) {
  return text.replace(/\p{Cs}/gu, REPLACEMENT);
}
