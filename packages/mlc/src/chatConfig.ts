import type { ModelConfig } from "@safedelta/model";
import type { Conversation } from "./conversation.ts";
import type { Quant } from "./quantisation.ts";

/** Tokens that web-llm's prebuilt libraries take in one step ("cs1k"). */
const prefillChunk = 1024;

/** First tokens that a sliding window keeps (MLC's mistral_model.py). */
const attentionSink = 4;

/** Context that web-llm's own list gives its models: its cache takes the memory for all of it at once. */
const usualContext = 4096;

/** What mlc-chat-config.json is made of. */
export interface ChatParts {
  readonly config: ModelConfig;
  readonly quant: Quant;
  readonly conversation: Conversation;
  /** tokenizer.json, parsed. */
  readonly tokenizer: Readonly<Record<string, unknown>>;
  readonly tokenizerFiles: readonly string[];
  /** Tokens a step of the library that is given. */
  readonly prefillChunkSize?: number;
  readonly bosId?: number;
  readonly padId?: number;
}

/** mlc-chat-config.json, version 0.1.0 (mlc-llm protocol/mlc_chat_config.py). */
export function chatConfigOf({ config, quant, conversation, ...parts }: ChatParts) {
  const { maxPositions } = config;
  const window = windowOf(config);
  return {
    version: "0.1.0",
    model_type: config.family,
    quantization: quant.name,
    model_config: modelConfigOf(config),
    vocab_size: config.vocabularySize,
    context_window_size: window === undefined ? maxPositions : -1,
    sliding_window_size: window ?? -1,
    attention_sink_size: window === undefined ? -1 : attentionSink,
    prefill_chunk_size: parts.prefillChunkSize ?? Math.min(prefillChunk, maxPositions),
    tensor_parallel_shards: 1,
    temperature: 1,
    top_p: 1,
    presence_penalty: 0,
    frequency_penalty: 0,
    repetition_penalty: 1,
    tokenizer_files: parts.tokenizerFiles,
    tokenizer_info: tokenizerInfo(parts.tokenizer),
    conv_template: conversation.template,
    pad_token_id: parts.padId,
    bos_token_id: parts.bosId,
    eos_token_id: conversation.template.stop_token_ids,
  };
}

/** What of the context web-llm is told to reserve, in the model's entry of its list. */
export function contextOverride(config: ModelConfig): { context_window_size?: number } {
  return windowOf(config) === undefined ? { context_window_size: Math.min(usualContext, config.maxPositions) } : {};
}

/** A sliding window that is shorter than the context. */
export function windowOf({ slidingWindow, maxPositions }: ModelConfig): number | undefined {
  return slidingWindow !== null && slidingWindow < maxPositions ? slidingWindow : undefined;
}

function modelConfigOf(config: ModelConfig) {
  return {
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.nLayers,
    num_attention_heads: config.nHeads,
    num_key_value_heads: config.nKvHeads,
    head_dim: config.headDim,
    rms_norm_eps: config.rmsNormEps,
    position_embedding_base: config.rope.theta,
    vocab_size: config.vocabularySize,
    tie_word_embeddings: config.tied,
  };
}

/** Steps of a normaliser or decoder of tokenizer.json, a sequence taken apart. */
function stepsOf(part: unknown): readonly Record<string, unknown>[] {
  if (typeof part !== "object" || part === null) return [];
  const { normalizers, decoders } = part as Record<string, unknown>;
  const inner = normalizers ?? decoders;
  return Array.isArray(inner) ? inner.flatMap(stepsOf) : [part as Record<string, unknown>];
}

/** How tokens are bytes; web-llm needs it for answers of a given grammar (mlc-llm cpp/tokenizers/tokenizers.cc). */
function tokenizerInfo({ decoder, normalizer }: Readonly<Record<string, unknown>>) {
  const decoding = stepsOf(decoder);
  return {
    token_postproc_method: decoding.some(({ type }) => type === "ByteLevel") ? "byte_level" : "byte_fallback",
    prepend_space_in_encode: stepsOf(normalizer).some(({ type, prepend }) => type === "Prepend" && prepend === "▁"),
    strip_space_in_decode: decoding.some(
      ({ type, content, start, stop }) => type === "Strip" && content === " " && start === 1 && stop === 0,
    ),
  };
}
