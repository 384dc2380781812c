/** What is longer is cut and shows it; a pair of surrogates is not left in halves. */
export const cutTo = (text: string, lengthMax: number): string =>
  text.length <= lengthMax ? text : `${text.slice(0, lengthMax).toWellFormed()}…`;
