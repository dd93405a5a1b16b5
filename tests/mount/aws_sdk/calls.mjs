// What AWS's clients for JavaScript do with a store: node calls.mjs ENDPOINT BUCKET, access key in the environment.
// Prints one JSON document; ends with an error where a call is refused that must not be, or the other way round.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(process.env.COFFER_AWS_SDK + "/package.json"));
const S3 = require("@aws-sdk/client-s3");
const KMS = require("@aws-sdk/client-kms");

const [endpoint, bucket] = process.argv.slice(2);
const directory = "sdk--use1-az4--x-s3";
const settings = { endpoint, region: "us-east-1", maxAttempts: 1 };
const s3 = new S3.S3Client({ ...settings, forcePathStyle: true });
// With an endpoint of its own a client asks for a session even of a bucket that is to be made.
const withoutSession = new S3.S3Client({ ...settings, forcePathStyle: true, disableS3ExpressSessionAuth: true });
const kms = new KMS.KMSClient(settings);

async function refused(client, command) {
  try {
    await client.send(command);
  } catch (error) {
    return `${error.$metadata?.httpStatusCode} ${error.name}`;
  }
  throw new Error(`${command.constructor.name} was not refused`);
}

const put = (Bucket, byDefault, rest = {}) => new S3.PutBucketEncryptionCommand({
  Bucket, ServerSideEncryptionConfiguration: { Rules: [{ ApplyServerSideEncryptionByDefault: byDefault, ...rest }] } });
const rule = async (Bucket) =>
  (await s3.send(new S3.GetBucketEncryptionCommand({ Bucket }))).ServerSideEncryptionConfiguration.Rules[0];

const out = {};
const made = (await kms.send(new KMS.CreateKeyCommand({ Description: "by the SDK" }))).KeyMetadata;
const other = (await kms.send(new KMS.CreateKeyCommand({}))).KeyMetadata;
out.key = made.Arn;
const dataKey = await kms.send(new KMS.GenerateDataKeyCommand({ KeyId: made.KeyId, KeySpec: "AES_256", EncryptionContext: { a: "b" } }));
const opened = await kms.send(new KMS.DecryptCommand({ CiphertextBlob: dataKey.CiphertextBlob, EncryptionContext: { a: "b" } }));
out.opened = Buffer.compare(Buffer.from(opened.Plaintext), Buffer.from(dataKey.Plaintext)) === 0;
out.wrongContext = await refused(kms, new KMS.DecryptCommand({ CiphertextBlob: dataKey.CiphertextBlob, EncryptionContext: { a: "c" } }));

await s3.send(new S3.CreateBucketCommand({ Bucket: bucket }));
out.fresh = await rule(bucket);
await s3.send(put(bucket, { SSEAlgorithm: "aws:kms", KMSMasterKeyID: made.Arn }, { BucketKeyEnabled: true }));
out.general = await rule(bucket);
out.badKey = await refused(s3, put(bucket, { SSEAlgorithm: "AES256", KMSMasterKeyID: made.Arn }));
await s3.send(new S3.HeadBucketCommand({ Bucket: bucket }));
out.missing = await refused(s3, new S3.GetBucketEncryptionCommand({ Bucket: "missing-bucket" }));

await withoutSession.send(new S3.CreateBucketCommand({ Bucket: directory, CreateBucketConfiguration: {
  Location: { Type: "AvailabilityZone", Name: "use1-az4" }, Bucket: { Type: "Directory", DataRedundancy: "SingleAvailabilityZone" } } }));
const session = await s3.send(new S3.CreateSessionCommand({ Bucket: directory }));
out.session = session.ServerSideEncryption;
await s3.send(put(directory, { SSEAlgorithm: "aws:kms", KMSMasterKeyID: made.Arn }));
out.directory = await rule(directory);
out.pinned = await refused(s3, put(directory, { SSEAlgorithm: "aws:kms", KMSMasterKeyID: other.Arn }));
out.listed = (await s3.send(new S3.ListBucketsCommand({}))).Buckets.map((b) => b.Name);
out.directories = (await s3.send(new S3.ListDirectoryBucketsCommand({}))).Buckets.map((b) => b.Name);
await s3.send(new S3.DeleteBucketEncryptionCommand({ Bucket: bucket }));
out.reset = await rule(bucket);
await s3.send(new S3.DeleteBucketCommand({ Bucket: bucket }));
console.log(JSON.stringify(out));
