/**
 * JSON Schema (draft 7, which editors know) of one configuration file. Nothing is required: files are merged.
 */
import type { JsonSchema } from "./field.ts"
import { shape } from "./shape.ts"

export const schema: JsonSchema = {
  $schema: "http://json-schema.org/draft-07/schema#",
  title: "Spillway configuration",
  ...shape.schema
}
