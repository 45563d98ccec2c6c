// Places an order and reads the portfolio with a client whose types are generated from the OpenAPI document.
// Arguments: the engine's URL, the user, the order's key.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { argv: string[] };

const [, , baseUrl, user, key] = process.argv as [string, string, string, string, string];
const client = createClient<paths>({ baseUrl });

const body: components["schemas"]["Order"] = {
  user_id: Number(user),
  symbol: "BTC",
  pay_with: "USD",
  quantity: "1.0",
};
const order = await client.POST("/api/v1/trading/execute", { params: { header: { "X-Idempotency-Key": key } }, body });
if (order.error !== undefined) {
  throw new Error(`${order.error.error_code}: ${order.error.message}`);
}
const portfolio = await client.GET("/api/v1/trading/portfolio/{user_id}", { params: { path: { user_id: Number(user) } } });
if (portfolio.error !== undefined) {
  throw new Error(portfolio.error.message);
}
const bitcoin: string | undefined = portfolio.data.holdings["BTC"];
console.log(JSON.stringify({ status: order.data.status, sequence: order.data.sequence, bitcoin }));
