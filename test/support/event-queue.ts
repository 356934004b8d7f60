/** A binary heap of timed events, in flat arrays: a million photos in one simulation stay small. */
export class EventQueue {
  #times = new Float64Array(1_024);
  #subjects = new Int32Array(1_024);
  #stages = new Uint8Array(1_024);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(timeMs: number, subject: number, stage: number): void {
    if (this.#size === this.#times.length) {
      this.#grow();
    }
    let hole = this.#size++;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (this.#times[parent]! <= timeMs) {
        break;
      }
      this.#move(parent, hole);
      hole = parent;
    }
    this.#put(hole, timeMs, subject, stage);
  }

  /** The earliest event, or undefined. */
  pop(): { timeMs: number; subject: number; stage: number } | undefined {
    if (this.#size === 0) {
      return undefined;
    }
    const first = { timeMs: this.#times[0]!, subject: this.#subjects[0]!, stage: this.#stages[0]! };
    const last = --this.#size;
    const time = this.#times[last]!;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= last) {
        break;
      }
      if (child + 1 < last && this.#times[child + 1]! < this.#times[child]!) {
        child++;
      }
      if (this.#times[child]! >= time) {
        break;
      }
      this.#move(child, hole);
      hole = child;
    }
    this.#put(hole, time, this.#subjects[last]!, this.#stages[last]!);
    return first;
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#times[from]!, this.#subjects[from]!, this.#stages[from]!);
  }

  #put(at: number, timeMs: number, subject: number, stage: number): void {
    this.#times[at] = timeMs;
    this.#subjects[at] = subject;
    this.#stages[at] = stage;
  }

  #grow(): void {
    const grown = <A extends Float64Array | Int32Array | Uint8Array>(old: A, wider: A) => {
      wider.set(old);
      return wider;
    };
    const length = this.#times.length * 2;
    this.#times = grown(this.#times, new Float64Array(length));
    this.#subjects = grown(this.#subjects, new Int32Array(length));
    this.#stages = grown(this.#stages, new Uint8Array(length));
  }
}
