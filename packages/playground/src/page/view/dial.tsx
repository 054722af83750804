interface DialProps {
  readonly id: string;
  readonly label: string;
  readonly most: number;
  readonly step: number;
  readonly value: number;
  /** The value as it is seen and, with what it means, as it is said. */
  readonly shown: string;
  readonly said: string;
  /** What stands below its ends. */
  readonly ends: readonly [least: string, most: string];
  readonly onMove: (value: number) => void;
}

/** A slider from the fine-tuned end to the aligned one. */
export function Dial({ id, label, most, step, value, shown, said, ends, onMove }: DialProps) {
  return (
    <>
      <label for={id}>{label}</label>
      <input
        id={id}
        type="range"
        min={0}
        max={most}
        step={step}
        value={value}
        aria-valuetext={said}
        onInput={(event) => onMove(Number(event.currentTarget.value))}
      />
      <div class="ends" aria-hidden="true">
        <span>{ends[0]}</span>
        <output>{shown}</output>
        <span>{ends[1]}</span>
      </div>
    </>
  );
}
