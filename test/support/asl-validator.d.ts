declare module 'asl-validator' {
  /** Checks a definition in Amazon States Language against its schema, and its paths and state names. */
  export default function validate(definition: object): {
    isValid: boolean;
    errorsText(separator?: string): string;
  };
}
