// Where this page's payments are. Change it for your project; it holds no secret.
// go run ./scripts/local serves a file of its own in its place.

export default {
  endpoint: 'https://fra.cloud.appwrite.io/v1',
  project: 'YOUR_PROJECT_ID',
  functionId: 'daraja',
  databaseId: 'daraja',
  collectionId: 'payments',

  // Whether people may go on without an account. The function then needs
  // DARAJA_UNVERIFIED_PUSH=any: anybody can make phones ring.
  anonymous: false,

  // Appwrite's Web SDK: this version works with every server from 1.8.1 on. The hash is
  // that of dist/iife/sdk.js in its npm package; the browser takes no other file.
  sdk: {
    src: 'https://cdn.jsdelivr.net/npm/appwrite@21.5.0/dist/iife/sdk.js',
    integrity: 'sha384-wSs0YdXDFcwZh4+7f1P8/wQTJoeoHyqn/D9I8XjtHPiJklv1haWmX44C9L6BuBZC',
  },
};
