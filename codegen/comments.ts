import type {
  DescEnum,
  DescEnumValue,
  DescField,
  DescMessage,
  DescMethod,
  DescOneof,
  DescService,
} from "@bufbuild/protobuf";

export type Commented =
  | DescEnum
  | DescEnumValue
  | DescField
  | DescMessage
  | DescMethod
  | DescOneof
  | DescService;

/** The comment before a descriptor in its schema, as written; empty when there is none. */
export type CommentOf = (desc: Commented) => string;

/** A comment as one line of text, for a table's cell or a string. */
export function paragraph(comment: string): string {
  return comment.split(/\s+/).join(" ").trim();
}
