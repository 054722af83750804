import { type Example, isHarmful, loadSource, type Message, spellings } from "@safedelta/data";
import { sourceAccess } from "@safedelta/pipeline";
import { defineCommand, required } from "../command.ts";
import { computeOptions, option } from "../options.ts";

/** `safedelta data show SOURCE` */
export const dataShowCommand = defineCommand({
  brief: "Print the first records of a data source as conversations",
  help: `SOURCE is ${spellings}. What may do harm is not shown, only how long it is, unless --show-harmful is given.`,
  args: ["SOURCE"],
  options: {
    limit: option.positive(5, { brief: "the first n records only" }),
    showHarmful: option.flag("show the texts of data sets that may do harm"),
    seed: option.count(0, { brief: "seed of what a mixture draws" }),
    offline: computeOptions.offline,
  },
  async run(options, [given], io) {
    const source = required(given, "SOURCE");
    const hidden = isHarmful(source) && !options.showHarmful;
    const access = sourceAccess(options.offline, io.progress);
    const all = await loadSource(source, access, { seed: options.seed });
    const shown = all.slice(0, options.limit).map((example) => (hidden ? hide(example) : example));
    io.document({ source, hidden, nExamples: all.length, examples: shown });
    io.print([...shown.map(textOf), `${shown.length} of ${all.length} records of ${source}`].join("\n\n"));
    if (hidden) io.note("These texts may do harm: they are shown with --show-harmful.");
    return undefined;
  },
});

function hide({ messages, reference, ...rest }: Example): Example {
  const lengthOf = (text: string) => `[${text.length} characters]`;
  const hideOf = ({ role, content }: Message) => ({ role, content: lengthOf(content) });
  return { ...rest, messages: messages.map(hideOf), reference: reference && lengthOf(reference) };
}

function textOf({ messages, reference, source, line }: Example): string {
  const turns = messages.map(({ role, content }) => `${role}: ${content}`);
  return [`${source}:${line}`, ...turns, ...(reference === undefined ? [] : [`reference: ${reference}`])].join("\n");
}
