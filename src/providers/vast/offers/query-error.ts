import { InputError } from '../../../core/errors.ts';

const HINT =
  'Write comparisons with spaces between them, like: gpu_ram>=24 num_gpus=1 geolocation in [US,CA] gpu_name="RTX 4090".';

/** A `vastQuery` that cannot be read. `position` counts from 0; the message counts from 1. */
export class VastQueryError extends InputError {
  readonly position: number;

  constructor(position: number, what: string, hint = HINT) {
    super('invalid_input', `vastQuery, character ${position + 1}: ${what}`, { hint });
    this.position = position;
  }
}
