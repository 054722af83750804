import { TokenizerError } from "./errors.ts";

const months = ["January", "February", "March", "April", "May", "June", "July"].concat([
  "August",
  "September",
  "October",
  "November",
  "December",
]);
const days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/**
 * Midnight of `date` (YYYY-MM-DD) through Python's `strftime` in the C locale: what a chat template sees as "now". Reads
 * neither clock, time zone nor locale, so that a prompt is the same everywhere.
 * @throws TokenizerError for a date that is none, or a directive that is not known
 */
export function strftime(date: string, format: string): string {
  const fields = dateFields(date);
  return format.replace(/%(.?)/gsu, (directive, letter: string) => {
    const text = fields[letter];
    if (text === undefined) throw new TokenizerError(`The chat template asks for the date as "${directive}": unknown.`);
    return text;
  });
}

function dateFields(date: string): Record<string, string> {
  const time = new Date(`${date}T00:00:00Z`);
  if (!/^\d{4}-\d\d-\d\d$/.test(date) || Number.isNaN(time.getTime()) || !time.toISOString().startsWith(date)) {
    throw new TokenizerError(`"${date}" is no date. Write it as YYYY-MM-DD.`);
  }
  const [year, month, day] = date.split("-") as [string, string, string];
  const monthName = months[time.getUTCMonth()];
  const dayName = days[time.getUTCDay()];
  const clock = { H: "00", I: "12", M: "00", S: "00", p: "AM" };
  const names = { B: monthName, b: monthName.slice(0, 3), A: dayName, a: dayName.slice(0, 3) };
  return { Y: year, y: year.slice(2), m: month, d: day, ...names, ...clock, "%": "%" };
}
