// Choices with parameters: a field `type`, and beside it one member for each type that has parameters, named after the type.
// `type: FedAvgM` goes with `fedAvgM: {…}` and with no other member.
import { rule, type Rule } from './rules.ts'

/** Types whose first letters are an abbreviation. */
const SPELT: Readonly<Record<string, string>> = { SGD: 'sgd', RMSProp: 'rmsProp', PowerSGD: 'powerSgd' }

/** The member that holds the parameters of a type. */
export const memberOf = (type: string): string =>
  SPELT[type] ?? `${type.charAt(0).toLowerCase()}${type.slice(1)}`

/** A member that is given goes with its own type only. */
export const goesWithItsType = (...types: string[]): Rule[] =>
  types.map((type) => {
    const member = memberOf(type)
    return rule(`!has(self.${member}) || self.type == '${type}'`, `${member} goes with type ${type} only`, {
      fieldPath: `.${member}`,
      value: 'self.type',
    })
  })

/** A type without a sensible default needs its member. */
export const needsItsMember = (...types: string[]): Rule[] =>
  types.map((type) => {
    const member = memberOf(type)
    return rule(
      `!has(self.type) || self.type != '${type}' || has(self.${member})`,
      `type ${type} needs ${member}`,
      {
        fieldPath: '.type',
        value: 'self.type',
      },
    )
  })

/** A choice as configurations write it: the parameters stand beside the type. */
export function flat(choice: { readonly type: string }): { type: string } & Record<string, unknown> {
  const parameters = (choice as Record<string, unknown>)[memberOf(choice.type)]
  return { type: choice.type, ...(parameters as object | undefined) }
}
