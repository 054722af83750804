/** What a web page needs of this package: nothing here imports anything that a browser lacks. */

export { webLlm } from "./versions.ts";
export { explainFailure, type WebFailure, type WebFailureKind } from "./webFailure.ts";

/** An entry of web-llm's `AppConfig.model_list`, as web-llm.json of an export holds it. */
export interface ModelRecord {
  readonly model: string;
  readonly model_id: string;
  /** Absent where no library for the model is known: web-llm cannot run it then. */
  readonly model_lib?: string;
  readonly overrides?: { readonly context_window_size?: number };
  readonly required_features?: readonly string[];
}

/**
 * A record with whole addresses, as web-llm wants them.
 * @param url of the web-llm.json that holds the record; with `/resolve/main/` in it, as web-llm asks for the other files below that
 */
export function absoluteRecord(record: ModelRecord, url: string): ModelRecord {
  const whole = (address: string) => new URL(address, url).href;
  const library = record.model_lib === undefined ? {} : { model_lib: whole(record.model_lib) };
  return { ...record, model: whole(record.model), ...library };
}
