// The load test for k6: stages, thresholds and mix of load.json, the same requests as `make load` sends.
//
//     k6 run -e BASE_URL=https://lists.example.com -e CATALOG=sample acceptance/load.js
//
// API_KEY and USERS (a file with a user id a line) come from the environment, too. k6 ends with 99 if a threshold fails.
import http from "k6/http";
import { check } from "k6";

const base = (__ENV.BASE_URL || "http://127.0.0.1:8000").replace(/\/$/, "");
const catalog = __ENV.CATALOG || "sample";
const plan = JSON.parse(open("./load.json"));
// Without a file of ids: the customers of the generated shop.
const users = __ENV.USERS
  ? open(__ENV.USERS).split("\n").filter((id) => id !== "")
  : Array.from({ length: 1500 }, (_, k) => `C${1000 + k}`);
const headers = __ENV.API_KEY ? { Authorization: `Bearer ${__ENV.API_KEY}` } : {};
const tags = {}; // of the lists that this virtual user has, by user id

http.setResponseCallback(http.expectedStatuses(200, 304));

export const options = {
  scenarios: {
    users: {
      executor: "ramping-arrival-rate",
      startRate: 0,
      timeUnit: "1s",
      preAllocatedVUs: 50,
      maxVUs: 200,
      stages: plan.stages,
    },
  },
  thresholds: plan.thresholds,
};

export function setup() {
  const answer = http.get(`${base}/v1/${catalog}/popular?n=20`, { headers });
  if (answer.status !== 200) {
    throw new Error(`GET popular is ${answer.status}: nothing to ask for`);
  }
  return answer.json("items").map((item) => item.item_id);
}

function drawn(values) {
  return values[Math.floor(Math.random() * values.length)];
}

function kindDrawn() {
  let left = Math.random() * Object.values(plan.mix).reduce((sum, share) => sum + share, 0);
  return Object.keys(plan.mix).find((kind) => (left -= plan.mix[kind]) < 0) || "list";
}

export default function (items) {
  const kind = kindDrawn();
  const user = encodeURIComponent(users[Math.floor(users.length * Math.random() ** 2)]); // some come often
  const item = encodeURIComponent(drawn(items));
  const lists = `${base}/v1/${catalog}/recommendations`;
  const get = (url, more = {}) =>
    http.get(url, { headers: { ...headers, ...more }, tags: { name: kind } });
  let answer;
  switch (kind) {
    case "again":
      answer = get(`${lists}?user_id=${user}&n=20`, tags[user] ? { "If-None-Match": tags[user] } : {});
      tags[user] = answer.headers.Etag;
      break;
    case "page":
      answer = get(`${lists}?user_id=${user}&n=5&offset=5`);
      break;
    case "cart":
      answer = get(`${lists}?user_id=${user}&n=10&exclude=${item}`);
      break;
    case "unknown":
      answer = get(`${lists}?user_id=guest-${Math.random().toString(16).slice(2)}&n=20`);
      break;
    case "popular":
      answer = get(`${base}/v1/${catalog}/popular?n=20`);
      break;
    case "similar":
      answer = get(`${base}/v1/${catalog}/similar?item_id=${item}&n=10`);
      break;
    case "basket":
      answer = get(`${base}/v1/${catalog}/basket?item_id=${item}&n=5`);
      break;
    case "many":
      answer = http.post(`${lists}:batch`, JSON.stringify({ user_ids: users.slice(0, 10), n: 10 }), {
        headers: { ...headers, "Content-Type": "application/json" },
        tags: { name: kind },
      });
      break;
    default:
      answer = get(`${lists}?user_id=${user}&n=20`);
  }
  check(answer, { "200 or 304": (a) => a.status === 200 || a.status === 304 });
}
