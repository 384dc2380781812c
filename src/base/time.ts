/** `2026-11-22T08:15:30Z`: to the second, as AWS writes times. */
export function isoSeconds(ms: number): string {
  const date = new Date(ms);
  const year = date.getUTCFullYear();
  // Half the time of toISOString, which is for years that are not written with four digits.
  if (year < 1000 || year > 9999) return `${date.toISOString().slice(0, 19)}Z`;
  const day = `${year}-${twoDigits(date.getUTCMonth() + 1)}-${twoDigits(date.getUTCDate())}`;
  return `${day}T${twoDigits(date.getUTCHours())}:${twoDigits(date.getUTCMinutes())}:${twoDigits(date.getUTCSeconds())}Z`;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `Nov 22, 2026, 7:47:25 AM`: as CloudTrail's records of IAM and STS write a time. */
export function eventTime(ms: number): string {
  const date = new Date(ms);
  const hours = date.getUTCHours();
  return (
    `${MONTHS[date.getUTCMonth()]} ${date.getUTCDate()}, ${date.getUTCFullYear()}, ${hours % 12 || 12}:` +
    `${twoDigits(date.getUTCMinutes())}:${twoDigits(date.getUTCSeconds())} ${hours < 12 ? "AM" : "PM"}`
  );
}

const twoDigits = (value: number): string => (value < 10 ? `0${value}` : String(value));
