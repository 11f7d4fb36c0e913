// A lint rule: how many branches a function may have. As ESLint's `complexity`, but what only reads a value that may be
// absent (`?.`, `??`, a default) does not count, and a switch counts once: neither is a path that a reader must follow.

const BRANCHES = [
  'IfStatement',
  'ConditionalExpression',
  'LogicalExpression[operator!="??"]',
  'ForStatement',
  'ForInStatement',
  'ForOfStatement',
  'WhileStatement',
  'DoWhileStatement',
  'SwitchStatement',
  'CatchClause',
].join(', ')

export const branchesRule = {
  meta: {
    type: 'suggestion',
    docs: { description: 'limit the branches of a function' },
    schema: [{ type: 'integer', minimum: 1 }],
    messages: {
      tooMany: 'This function has {{count}} branches, {{max}} are allowed: give a part of it a name.',
    },
  },
  create(context) {
    const [max] = context.options
    const counts = []
    return {
      ':function': () => counts.push(0),
      [BRANCHES]: () => {
        if (counts.length > 0) counts[counts.length - 1] += 1
      },
      ':function:exit': (node) => {
        const count = counts.pop()
        if (count > max) context.report({ node, messageId: 'tooMany', data: { count, max } })
      },
    }
  },
}
