import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { firstInSettings, MAX_SETTINGS_BYTES } from '../../../src/files/secret-settings.ts';
import { createSecretScanner, secretIn } from '../../../src/files/secrets.ts';
import { fc } from '../../support/property.ts';

const AWS = 'q1Zk8/Xv+3mNcR7tYbPw2LsHd9FgJe5uAoQi0TxK';
const find = (file: string, text: string): string | undefined =>
  firstInSettings(file, Buffer.from(text))?.kind;

describe('a secret that only its name gives away', () => {
  it.each([
    ['keys.json', `{"aws_secret_access_key": "${AWS}"}`],
    ['keys.json', `{\n  "SecretAccessKey": "${AWS}",\n  "x": 1\n}`],
    ['home/.aws/credentials', `[default]\naws_secret_access_key = ${AWS}\n`],
    ['a.yaml', `  AWS_SECRET_ACCESS_KEY: ${AWS}\n`],
    ['train.py', `boto3.client("s3", aws_secret_access_key='${AWS}')`],
    ['run.sh', `export AWS_SECRET_ACCESS_KEY=${AWS}\n`],
  ])('a key of AWS in %s [SY-18]', (file, text) => {
    expect(find(file, text)).toBe('AWS secret key');
  });

  it.each([
    ['a.yml', 'db:\n  password: Tr0ub4d&r-9xQ2\n'],
    ['a.yaml', '- DB_PASSWORD: "kX9#mQ2$vL7pZ!w"  # of the cluster\n'],
    ['a.json', '{\n  "clientSecret": "8f14e45fceea167a5a36dedd4bea2543",\n  "a": 1\n}'],
    ['a.json', '{"api_key": "aZ3kP9vQ1xR7tY5w"}'],
    ['a.toml', "access_token = 'v9Kq2ZpX7mW4tRb8LsNd'\n"],
    ['a.properties', 'spring.datasource.password=Vq8!xZ2#pL5@k\r\n'],
  ])('a password or key in %s [SY-18]', (file, text) => {
    expect(find(file, text)).toBe('password or key in a setting');
  });

  it.each([
    ['a reference', 'a.yml', 'password: ${DB_PASSWORD}\npassword: $DB_PASSWORD_2024x\n'],
    ['a template', 'a.yml', 'password: "{{ vault_db_1Password }}"\napi_key: <Your-K3y-goes-in>\n'],
    ['a tag', 'a.yml', 'password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n'],
    ['a sealed value', 'a.yml', 'password: ENC[AES256_GCM,data:p673w==,iv:YY=,tag:UQ=]\n'],
    [
      'a sample',
      'a.yml',
      'password: changeme\napi_key: Your-Api-Key-1234\npassword: Passw0rd!Passw0rd\n',
    ],
    ['a test', 'a.json', '{"password": "Test1234!Test1234"}'],
    [
      'a word',
      'de.json',
      '{"password": "Passwort", "passwordHint": "Mindestens 12 Zeichen, 1 Ziffer"}',
    ],
    ['a sentence', 'en.json', '{"password": "At least 12 characters and 1 digit"}'],
    ['a number', 'vocab.json', '{"password": 123456789012, "token": 8}'],
    [
      'a special token',
      'tokenizer_config.json',
      '{"eos_token": "<|endoftext|>", "unk_token": "[UNK]"}',
    ],
    [
      'a name of something',
      'a.yml',
      'password: config.database.v2.key\nsecret_key: projects/7/keys/v2\n',
    ],
    ['a variable', 'a.yml', 'api_key: OPENAI_KEY_V2_PROD\n'],
    ['an address', 'a.yml', 'access_token: https://host.tld/oauth2/T0ken?x=1\n'],
    ['a hash in a fixture', 'users.json', '{"password": "8f14e45fceea167a5a36dedd4bea2543"}'],
    ['a hash of bcrypt', 'users.yml', 'password: $2b$12$KIXQ0v9yZ3bq8jv1\n'],
    [
      'the key of the AWS manual',
      'a.json',
      '{"SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}',
    ],
    ['a hash of git', 'a.yml', 'aws_secret_access_key: 119b98e0a1b2c3d4e5f60718293a4b5c6d7e8f90\n'],
    ['code', 'a.py', 'password = "Tr0ub4d&r-9xQ2"\n'],
  ])('%s is none', (_, file, text) => {
    expect(find(file, text)).toBeUndefined();
  });

  it('is looked for in settings alone, and not in data', () => {
    const text = 'password: Tr0ub4d&r-9xQ2\n';
    expect(find('a.md', text)).toBeUndefined();
    expect(find('a.yml', `${text}${'#'.repeat(MAX_SETTINGS_BYTES)}`)).toBeUndefined();
  });

  it('is told with its place, the first of a file', () => {
    const scanner = createSecretScanner('a.yml');
    const text = 'a: 1\npassword: Tr0ub4d&r-9xQ2\ntoken: hf_abcdefghijklmnopqrstuvwxyz0123\n';
    scanner.add(Buffer.from(text));
    expect(scanner.finding()).toEqual({ kind: 'password or key in a setting', at: 5 });
  });

  it('a key of AWS is found wherever it stands, and one letter more or less is none', () => {
    const around = fc.string({
      maxLength: 90,
      unit: fc.constantFrom('a', '7', ' ', '\n', '_', '/'),
    });
    fc.assert(
      fc.property(around, around, fc.integer({ min: 38, max: 41 }), (before, after, bytes) => {
        const key = `${AWS}z`.slice(0, bytes);
        const text = `${before} aws_secret_access_key = "${key}"${after}`;
        expect(find('train.py', text)).toBe(bytes === 40 ? 'AWS secret key' : undefined);
      }),
      { numRuns: 400 },
    );
  });

  it('is the same for a file that is here whole as for one read in one piece', () => {
    const part = fc.constantFrom(
      'x',
      ' ',
      '\n',
      'hf_',
      'a'.repeat(20),
      `key_id = AKIA${'Q2'.repeat(8)} `,
      AWS,
      'secret_access_key: ',
      'password: Tr0ub4d&r-9xQ2\n',
      '-----BEGIN PRIVATE KEY-----',
    );
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 30 }),
        fc.constantFrom('a.yml', 'b.py', 'c'),
        (parts, file) => {
          const content = Buffer.from(parts.join(''));
          const scanner = createSecretScanner(file);
          scanner.add(content);
          expect(secretIn(file, content)).toEqual(scanner.finding());
        },
      ),
      { numRuns: 300 },
    );
  });

  it('takes linear time whatever stands there', () => {
    const long = ['"password": "', ' password: ', 'api_key=aZ3', 'secret_access_key', '-'];
    fc.assert(
      fc.property(fc.constantFrom(...long), fc.nat(3), (part, more) => {
        const text = `${part}${' '.repeat(more)}`.repeat(200_000 / part.length);
        const began = performance.now();
        find('a.json', text);
        expect(performance.now() - began).toBeLessThan(3000);
      }),
      { numRuns: 10 },
    );
  });
});
