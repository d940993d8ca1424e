/** Where the services are, as the server of this page says. */
export interface Config {
  readonly api: string;
  readonly issuer: string;
}
