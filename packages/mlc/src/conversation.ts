import { MlcError } from "./errors.ts";
import { type Frame, frames } from "./frames.ts";

/** A turn of a conversation. */
interface Turn {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** What is asked of a model's tokenizer. */
export interface Speaker {
  /** The conversation as the model's chat template writes it, with what precedes an answer. @throws when the template refuses it */
  render(turns: readonly Turn[]): string;
  tokenId(text: string): number | undefined;
  /** The text of the token that begins a prompt, if there is one. */
  readonly bos?: string;
  /** Tokens that end an answer. */
  readonly eosIds: readonly number[];
}

/** `conv_template` of mlc-chat-config.json. */
export interface ConvTemplate {
  readonly name: string;
  readonly system_template: string;
  readonly system_message: string;
  readonly add_role_after_system_message: boolean;
  readonly roles: { readonly user: string; readonly assistant: string };
  readonly role_templates: { readonly user: string; readonly assistant: string };
  readonly role_content_sep: string;
  readonly role_empty_sep: string;
  readonly seps: readonly string[];
  readonly stop_str: readonly string[];
  readonly stop_token_ids: readonly number[];
  readonly system_prefix_token_ids?: readonly number[];
}

/** A template in web-llm's form. */
export interface Conversation {
  readonly template: ConvTemplate;
  /**
   * How a system message is to be wrapped before web-llm gets it, `{system_message}` standing for it: web-llm writes its default system
   * block into every conversation, so that of a model without one is none, and what is given stands as it is. Undefined: as it is, or none taken.
   */
  readonly systemWrap?: string;
}

const place = "{system_message}";

/** Texts that occur in no template. */
const [system, user, answer, next] = ["Be brief (S).", "First (U).", "Reply (A).", "Second (N)."];
const single: readonly Turn[] = [{ role: "user", content: user }];
const longer: readonly Turn[] = [...single, { role: "assistant", content: answer }, { role: "user", content: next }];
const asSystem = (turns: readonly Turn[]): readonly Turn[] => [{ role: "system", content: system }, ...turns];

/**
 * A chat template in web-llm's form, which reads no Jinja: of the known kinds the one that writes the same text as the model's own
 * template in a conversation of one turn and of two.
 * @throws MlcError when none does
 */
export function conversationOf(speaker: Speaker): Conversation {
  const found = frames.map((frame) => fit(frame, speaker)).find((conversation) => conversation !== undefined);
  if (found) return found;
  const known = [...new Set(frames.map(({ name }) => name))].join(", ");
  throw new MlcError([
    `The chat template is none that web-llm can be told: it writes turns differently from ${known}. web-llm does not read Jinja ` +
      "templates; the model can still be used with serve and chat.",
  ]);
}

function fit(frame: Frame, speaker: Speaker): Conversation | undefined {
  const render = rendererFor(frame, speaker);
  const plain = render(single);
  const turn = frame.user + frame.contentSep + user + ending(frame);
  if (!plain?.text.endsWith(turn)) return undefined;
  const usual = plain.text.slice(0, -turn.length);
  const own = systemOf(frame, render(asSystem(single))?.text);
  const template = { ...base(frame, speaker, plain.hasBos), ...systemFields(usual, own) };
  const same = (turns: readonly Turn[]) => promptOf(template, turns) === render(turns)?.text;
  if (!same(single) || !same(longer)) return undefined;
  return { template, systemWrap: template.system_template === place ? own?.template : undefined };
}

/** The model's own text, without a begin token that is no part of the frame. */
function rendererFor({ user: role }: Frame, { render, bos }: Speaker) {
  return (turns: readonly Turn[]): { text: string; hasBos: boolean } | undefined => {
    const text = rendered(render, turns);
    if (text === undefined) return undefined;
    const hasBos = bos !== undefined && text.startsWith(bos) && !role.startsWith(bos);
    return { text: hasBos ? text.slice(bos.length) : text, hasBos };
  };
}

function rendered(render: Speaker["render"], turns: readonly Turn[]): string | undefined {
  try {
    return render(turns);
  } catch {
    return undefined;
  }
}

function ending({ seps, assistant, emptySep }: Frame): string {
  return seps[0] + assistant + emptySep;
}

/** A system message as the template writes it: before the first turn, or inside it in place of the user's role. */
interface OwnSystem {
  readonly template: string;
  readonly inTurn: boolean;
}

function systemOf(frame: Frame, text: string | undefined): OwnSystem | undefined {
  const whole = frame.user + frame.contentSep + user + ending(frame);
  const inner = user + ending(frame);
  const inTurn = !text?.endsWith(whole);
  const before = text?.endsWith(inner) ? text.slice(0, -(inTurn ? inner : whole).length) : undefined;
  if (before?.split(system).length !== 2) return undefined;
  return { template: before.replace(system, place), inTurn };
}

/** @param usual what the template writes before the first turn when no system message is given */
function systemFields(usual: string, own: OwnSystem | undefined) {
  const [before, after] = own?.template.split(place) ?? [];
  const isDefault = usual !== "" && own && usual.startsWith(before) && usual.slice(before.length).endsWith(after);
  const add_role_after_system_message = !(own?.inTurn ?? false);
  if (!isDefault) return { system_template: place, system_message: usual, add_role_after_system_message };
  const system_message = usual.slice(before.length, usual.length - after.length);
  return { system_template: own.template, system_message, add_role_after_system_message };
}

function base(frame: Frame, speaker: Speaker, hasBos: boolean) {
  const ids = frame.stops.map((text) => speaker.tokenId(text)).filter((id) => id !== undefined);
  const bosId = speaker.bos === undefined ? undefined : speaker.tokenId(speaker.bos);
  return {
    name: frame.name,
    roles: { user: frame.user, assistant: frame.assistant },
    role_templates: { user: "{user_message}", assistant: "{assistant_message}" },
    role_content_sep: frame.contentSep,
    role_empty_sep: frame.emptySep,
    seps: frame.seps,
    stop_str: frame.stops,
    stop_token_ids: [...new Set([...ids, ...speaker.eosIds])],
    ...(hasBos && bosId !== undefined ? { system_prefix_token_ids: [bosId] } : {}),
  };
}

/** The text that web-llm makes of a conversation (its conversation.ts), with what precedes an answer. */
export function promptOf(template: ConvTemplate, turns: readonly Turn[]): string {
  const given = turns.find(({ role }) => role === "system")?.content;
  const before = template.system_template.replace(place, given ?? template.system_message);
  const said = turns.filter(({ role }) => role !== "system");
  const texts = said.map(({ role, content }, i) => {
    const bare = i === 0 && before !== "" && !template.add_role_after_system_message;
    const prefix = bare ? "" : template.roles[role as "user" | "assistant"] + template.role_content_sep;
    return prefix + content + template.seps[i % template.seps.length];
  });
  return [before, ...texts, template.roles.assistant, template.role_empty_sep].join("");
}
