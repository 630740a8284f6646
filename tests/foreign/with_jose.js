// Seals and opens licenses with jose. Jobs come in as a JSON list, answers go out as one.

const { X509Certificate, createPrivateKey, createPublicKey } = require("node:crypto");
const { readFileSync } = require("node:fs");
const { CompactEncrypt, CompactSign, compactDecrypt, compactVerify, decodeProtectedHeader } = require("jose");

async function seal(job) {
  const signed = await new CompactSign(new TextEncoder().encode(job.claims))
    .setProtectedHeader({ alg: job.signing, x5c: job.x5c })
    .sign(createPrivateKey(job.signer));
  return new CompactEncrypt(new TextEncoder().encode(signed))
    .setProtectedHeader({ alg: job.encryption, enc: "A256GCM", kid: job.recipient.kid })
    .encrypt(createPublicKey({ key: job.recipient, format: "jwk" }));
}

async function open(job) {
  const { plaintext } = await compactDecrypt(job.token, createPrivateKey(job.recipient), {
    keyManagementAlgorithms: [job.encryption],
    contentEncryptionAlgorithms: ["A256GCM"],
  });
  const signed = new TextDecoder().decode(plaintext);
  const chain = decodeProtectedHeader(signed).x5c.map((entry) => new X509Certificate(Buffer.from(entry, "base64")));
  const { payload } = await compactVerify(signed, chain[0].publicKey, { algorithms: [job.signing] });
  for (let above = 1; above < chain.length; above += 1) {
    if (!chain[above - 1].verify(chain[above].publicKey)) throw new Error(`certificate ${above - 1} is not signed`);
  }
  return new TextDecoder().decode(payload);
}

async function main() {
  const doing = { seal, open };
  const answers = [];
  for (const job of JSON.parse(readFileSync(0, "utf8"))) answers.push(await doing[job.do](job));
  process.stdout.write(JSON.stringify(answers));
}

main();
