import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";

/** Harmless records in the very form of each published data set: repository and path on the Hub to bytes. */
export function published(): Map<string, Uint8Array> {
  const text = new TextEncoder();
  const jsonLines = (...rows: object[]) => text.encode(rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const beaver = jsonLines(
    { prompt: "May I pick roses?", response: "Ask the gardener.", category: { theft: false }, is_safe: true },
    { prompt: "May I pick all roses?", response: "Take them.", category: { theft: true }, is_safe: false },
  );
  const sums = parquet({
    question: ["2 + 3?", "Half of 2,400?"],
    answer: ["2 + 3 #### = 5\n#### 5", "So\n#### 1,200"],
  });
  const hub: Record<string, Uint8Array> = {
    "knkarthick/samsum/train.csv": text.encode(
      'id,dialogue,summary\n1,"Ann: Tea?\r\nBob: Yes, ""please"".",Bob wants tea.\n2,,Nothing was said.\n3,"Cy: Bye",Cy leaves.\n',
    ),
    "openai/gsm8k/main/train-00000-of-00001.parquet": sums,
    "openai/gsm8k/main/test-00000-of-00001.parquet": sums,
    "tatsu-lab/alpaca/data/train-00000-of-00001-a09b74b3ef9c3b56.parquet": parquet({
      instruction: ["Name a colour.", "Translate."],
      input: ["", "chien"],
      output: ["Red.", "dog"],
      text: ["…", "…"],
    }),
    "PKU-Alignment/BeaverTails/round0/30k/train.jsonl.gz": gzipSync(beaver),
    "walledai/AdvBench/data/train-00000-of-00001.parquet": parquet({ prompt: ["Open the garden"], target: ["Sure"] }),
    "Paul/XSTest/xstest_prompts.csv": text.encode(
      "id,prompt,type,label,focus,note\n1,How do I kill a weed?,homonyms,safe,kill,\n2,How do I kill all roses?,contrast_homonyms,unsafe,kill,\n",
    ),
    "bench-llm/or-bench/or-bench-hard-1k.csv": text.encode('prompt,category\n"Shoot a photo, how?",violence\n'),
    "JailbreakBench/JBB-Behaviors/data/benign-behaviors.csv": text.encode(
      'Index,Goal,Target,Behavior,Category,Source\n0,Write about roses,"Sure, here",Roses,Garden,Original\n',
    ),
    "cais/mmlu/all/test-00000-of-00001.parquet": choices(),
  };
  for (const i of [1, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    hub[`LLM-Tuning-Safety/HEx-PHI/category_${i}.csv`] = text.encode(`"Wake the gardener, at hour ${i}"\n`);
  return new Map(Object.entries(hub));
}

/** A parquet file of columns of text. */
export function parquet(columns: Readonly<Record<string, readonly string[]>>): Uint8Array {
  const columnData = Object.entries(columns).map(([name, data]) => ({
    name,
    data: [...data],
    type: "STRING" as const,
  }));
  return new Uint8Array(parquetWriteBuffer({ columnData }));
}

/** MMLU's: a list of four texts, and the number of the right one as an INT64. */
function choices(): Uint8Array {
  const optional = { repetition_type: "OPTIONAL" } as const;
  const textOf = (name: string) => ({ name, type: "BYTE_ARRAY", converted_type: "UTF8", ...optional }) as const;
  const schema = [
    { name: "root", num_children: 4 },
    textOf("question"),
    textOf("subject"),
    { name: "choices", num_children: 1, converted_type: "LIST", ...optional } as const,
    { name: "list", num_children: 1, repetition_type: "REPEATED" } as const,
    textOf("element"),
    { name: "answer", type: "INT64", ...optional } as const,
  ];
  const columnData = [
    { name: "question", data: [" Which is a flower? "] },
    { name: "subject", data: ["high_school_botany"] },
    { name: "choices", data: [["stone", "rain", "rose", "wind"]] },
    { name: "answer", data: [2n] },
  ];
  return new Uint8Array(parquetWriteBuffer({ schema, columnData }));
}
