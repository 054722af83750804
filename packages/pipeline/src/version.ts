/** Version of the tool, kept with everything it writes. */
export const toolVersion = "0.1.0";
