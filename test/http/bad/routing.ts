/**
 * Wrong paths, methods and callers.
 */
import { type Bad, json, records, v2, v2Json, v3 } from "./parts.ts"

export const paths: ReadonlyArray<Bad> = [
  ...[
    "/dashboard/",
    "/v1",
    "/v1/topics",
    "/v1/topics/events",
    "/v1/topics//records",
    "/v1/topics/a/b/records",
    "/v2/x",
    "/topics"
  ].map(path => ({ name: `nothing at ${path}`, path, method: "GET", status: 404, says: /"NotFound"/ })),
  ...["/toString", "/__proto__", "/constructor", "/healthz/", "/metrics/x", "/v3/clusters/c/topics/events"].map(
    path => ({
      name: `nothing at ${path}`,
      path,
      method: "GET",
      status: 404,
      says: /"NotFound"/
    })
  ),
  ...["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"].map(method => ({
    name: `${method} on records`,
    method,
    path: records,
    status: 405,
    says: method === "HEAD" ? /^$/ : /"MethodNotAllowed".*POST/
  })),
  ...["GET", "PUT", "DELETE"].flatMap(method =>
    [v2, `${v2}/partitions/0`, v3].map(path => ({
      name: `${method} on ${path}`,
      method,
      path,
      status: 405,
      says: /"error_code":405/
    }))
  ),
  ...["/healthz", "/readyz", "/metrics", "/v1/status", "/openapi.json"].map(path => ({
    name: `POST on ${path}`,
    path,
    body: "{}",
    status: 405,
    says: /"MethodNotAllowed".*GET, HEAD/
  })),
  ...["%ff", "%", "%zz", "%e0%a4"].flatMap(topic => [
    { name: `topic ${topic}`, path: `/v1/topics/${topic}/records`, body: "1", status: 400, says: /badly escaped/ },
    {
      name: `topic ${topic}, v2`,
      path: `/topics/${topic}`,
      headers: v2Json,
      body: "{}",
      status: 422,
      says: /badly escaped/
    },
    {
      name: `topic ${topic}, v3`,
      path: `/v3/clusters/c/topics/${topic}/records`,
      headers: json,
      body: "{}",
      status: 422,
      says: /badly escaped/
    }
  ]),
  ...["nowhere", "Events", "events%20", "%00", "events%2F..", "..", "a".repeat(300), "%F0%9F%92%A9"].map(topic => ({
    name: `unknown topic ${topic.slice(0, 20)}`,
    path: `/v1/topics/${topic}/records`,
    body: "1",
    // A path of two dots is another path by the time it is sent.
    status: 404,
    says: topic === ".." ? /"NotFound"/ : /"UnknownTopic"/
  }))
]

export const authorization: ReadonlyArray<Bad> = [
  "",
  "Bearer",
  "Bearer ",
  "Bearer wrong",
  "Bearer root2",
  "Bearer roo",
  "Bearer  root root",
  "Basic cm9vdDpyb290",
  "root",
  "Bearer\troot",
  `Bearer ${"r".repeat(4000)}`,
  "bearer ROOT",
  "Digest username=root"
].map(authorization => ({
  name: `authorization ${JSON.stringify(authorization.slice(0, 30))}`,
  path: records,
  body: "1",
  headers: authorization === "" ? {} : { authorization },
  bare: true,
  status: 401,
  says: /"Unauthorized"/
}))

const others = { authorization: "Bearer limited" }
export const unauthorised: ReadonlyArray<Bad> = [
  ...["events", "orders-eu", "order", "metrics"].map(topic => ({
    name: `a token without topic ${topic}`,
    path: `/v1/topics/${topic}/records`,
    body: "1",
    headers: others,
    bare: true,
    status: 403,
    says: /"NotAuthorized"/
  })),
  {
    name: "a token without metrics",
    path: "/metrics",
    method: "GET",
    headers: others,
    bare: true,
    status: 403,
    says: /metrics/
  },
  {
    name: "a token without status",
    path: "/v1/status",
    method: "GET",
    headers: others,
    bare: true,
    status: 403,
    says: /metrics/
  },
  {
    name: "a token without the topic, v2",
    path: v2,
    body: "{}",
    headers: { ...v2Json, ...others },
    bare: true,
    status: 403,
    says: /40301/
  },
  {
    name: "a token without the topic, v3",
    path: v3,
    body: "{}",
    headers: { ...json, ...others },
    bare: true,
    status: 403,
    says: /40301/
  },
  { name: "no token, v3", path: v3, body: "{}", headers: json, bare: true, status: 401, says: /40101/ }
]
