// CEL rules as CRD metadata, worded so that a person who gets one knows the value that was given and what is right,
// and the shapes that carry one.
import { z } from 'zod'

export interface Rule {
  rule: string
  message: string
  messageExpression?: string
  fieldPath?: string
}

export interface RuleOptions {
  /** The field that the message is about, relative to the object that the rule is on, for example `.sgd`. */
  fieldPath?: string
  /** CEL expression of the value that was given, shown before the message. */
  value?: string
}

export function rule(expression: string, message: string, options: RuleOptions = {}): Rule {
  const { fieldPath, value } = options
  return {
    rule: expression,
    message,
    ...(value === undefined
      ? {}
      : { messageExpression: `'"' + ${value} + '": ${message.replaceAll("'", "\\'")}'` }),
    ...(fieldPath === undefined ? {} : { fieldPath }),
  }
}

export const validations = (...rules: Rule[]): { 'x-kubernetes-validations': Rule[] } => ({
  'x-kubernetes-validations': rules,
})

/** A string of a pattern; the API server says what is right instead of quoting the pattern. */
export function matching(pattern: RegExp, maxLength: number, what: string): z.ZodString {
  return z
    .string()
    .max(maxLength)
    .regex(pattern, `must be ${what}`)
    .meta(validations(rule(`self.matches(r'${pattern.source}')`, `must be ${what}`, { value: 'self' })))
}

/** A duration, in a field whose name ends in Seconds. */
export const seconds = (minimum: number, maximum: number): z.ZodInt => z.int().min(minimum).max(maximum)
