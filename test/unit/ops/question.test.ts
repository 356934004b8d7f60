import { PassThrough } from 'node:stream';
import { askPerson } from '../../../ops/question.ts';

/** A terminal, as far as a question sees it. */
function terminal() {
  const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => {} });
  const output = Object.assign(new PassThrough(), { isTTY: true, columns: 80 });
  return { input, output, said: () => String(output.read() ?? '') };
}

test.each([
  ['y\r', true],
  ['Yes\r', true],
  ['n\r', false],
  ['\r', false],
  ['yesterday\r', false],
])('%j', async (typed, answer) => {
  const { input, output } = terminal();
  const asked = askPerson('Erase it?', input, output);
  input.write(typed);
  await expect(asked).resolves.toBe(answer);
});

test.each([
  ['Ctrl-C', '\u0003', 130],
  ['Ctrl-D', '\u0004', 1],
])('%s: nothing happened, and that is said', async (_, typed, exitCode) => {
  const { input, output } = terminal();
  const asked = askPerson('Erase it?', input, output);
  input.write(typed);
  await expect(asked).rejects.toMatchObject({
    name: 'UserError',
    exitCode,
    message: expect.stringContaining('Nothing happened'),
  });
});

test('a terminal that is closed', async () => {
  const { input, output } = terminal();
  const asked = askPerson('Erase it?', input, output);
  input.end();
  await expect(asked).rejects.toMatchObject({ message: expect.stringContaining('Nothing happened') });
});
