// Reads with the providers' own SDKs for Node what a test asks for, and prints it as JSON.
// Arguments: the folder of the SDKs. Standard input: {base, account, token, key, about}.
const [folder] = process.argv.slice(2);
const twilioSdk = require(`${folder}/twilio`);
const telnyxSdk = require(`${folder}/telnyx`);
const { base, account, token, key, about } = JSON.parse(require("fs").readFileSync(0, "utf8"));

const twilio = twilioSdk(account, token);
twilio.api.baseUrl = twilio.insights.baseUrl = base;
const Telnyx = telnyxSdk.default || telnyxSdk;
const telnyx = new Telnyx({ apiKey: key, baseURL: `${base}/v2`, maxRetries: 0 });

const call = (one) => [one.sid, one.status, one.to, one.fromFormatted, one.duration, one.price, one.startTime, one.endTime];
const exchange = ({ request, response }) => [
  request.method, request.url.split("?")[0], Object.entries(request.parameters).sort(),
  response && [response.response_code, response.request_duration, response.date_created],
];
const insight = (one) => [one.timestamp, one.edge, one.group, one.name, one.level, one.carrierEdge, one.sdkEdge];
const row = (one) => {
  const { event = {}, status } = one.metadata || {};
  const payload = Object.entries(event.payload || {}).filter(([name]) => name !== "client_state").sort();
  return [one.record_type, one.type, one.name, one.event_timestamp, one.call_leg_id, one.call_session_id,
    status, event.event_type, event.occurred_at, payload];
};

const start = new Date(about.call.start_time), end = new Date(about.busy.end_time);
const hour = 3600 * 1000;
const callFilters = [
  {},
  { to: about.call.to },
  { from: about.call.from },
  { parentCallSid: about.child.parent_call_sid },
  ...["completed", "busy", "failed", "no-answer", "canceled", "queued"].map((status) => ({ status })),
  { startTime: start },
  { startTimeBefore: start },
  { startTimeAfter: start },
  { endTime: end },
  { endTimeBefore: end },
  { endTimeAfter: end, status: "busy" },
  { startTimeAfter: new Date(start - hour), endTimeBefore: new Date(end.getTime() + hour) },
];
const payload = about.row.metadata.event.payload, at = about.row.event_timestamp;
const logFilters = [
  {},
  { leg_id: about.row.call_leg_id },
  { application_session_id: about.row.call_session_id },
  { connection_id: payload.connection_id },
  ...["call_control", "fax", "texml"].map((product) => ({ product })),
  { failed: true },
  { failed: false },
  { from: payload.from },
  { to: payload.to },
  { name: "call.hangup" },
  { type: "command" },
  { type: "webhook" },
  { application_name: { contains: "some" } },
  { "outbound.outbound_voice_profile_id": "9" },
  ...["eq", "gt", "gte", "lt", "lte"].map((how) => ({ occurred_at: { [how]: at } })),
];

// Every way to read a list: its name, and what it gives.
const lists = {
  list: (of, filters) => of.list(filters),
  "list, pageSize": (of, filters) => of.list({ ...filters, pageSize: 5 }),
  listWithHttpInfo: async (of, filters) => (await of.listWithHttpInfo(filters)).body,
  each: (of, filters) => new Promise((resolve, reject) => {
    const rows = [];
    of.each({ ...filters, pageSize: 5, done: (error) => (error ? reject(error) : resolve(rows)) }, (one) => rows.push(one));
  }),
  eachWithHttpInfo: (of, filters) => new Promise((resolve, reject) => {
    const rows = [];
    const done = (error) => (error ? reject(error) : resolve(rows));
    of.eachWithHttpInfo({ ...filters, pageSize: 5, done }, (one) => rows.push(one));
  }),
  page: async (of, filters) => walk(await of.page({ ...filters, pageSize: 5 })),
  pageWithHttpInfo: async (of, filters) => walk((await of.pageWithHttpInfo({ ...filters, pageSize: 5 })).body),
  getPage: async (of, filters) => {
    const first = await of.page({ ...filters, pageSize: 5 });
    const next = first.nextPageUrl;
    return next ? [...first.instances, ...(await walk(await of.getPage(next)))] : first.instances;
  },
};

async function walk(page) {
  const rows = [];
  for (; page; page = await page.nextPage()) rows.push(...page.instances);
  return rows;
}

async function failure(asked) {
  try {
    await asked();
  } catch (error) {
    return [error.status, error.code || null];
  }
  throw new Error("there was no error");
}

async function main() {
  const told = {};
  const one = twilio.calls(about.call.sid), insights = twilio.insights.v1.calls(about.call.sid);
  const resources = {
    calls: [twilio.calls, callFilters, call],
    "calls(sid).events": [one.events, [{}], exchange],
    "insights.v1.calls(sid).events": [
      insights.events, [{}, ...["carrier", "sdk", "sip", "client"].map((edge) => ({ edge: `${edge}_edge` }))], insight,
    ],
  };
  for (const [resource, [of, allFilters, plain]] of Object.entries(resources))
    for (const [method, read] of Object.entries(lists))
      for (const filters of allFilters)
        told[`${resource}.${method}(${JSON.stringify(filters)})`] =
          (await read(of, filters)).map((found) => JSON.stringify(plain(found))).sort();
  told["calls(sid).fetch"] = call(await one.fetch());
  told["calls(sid).fetchWithHttpInfo"] = call((await one.fetchWithHttpInfo()).body);
  const summary = twilio.insights.v1.calls(about.summary_sid).summary();
  for (const filters of [{}, { processingState: "complete" }, { processingState: "partial" }]) {
    const found = await summary.fetch(filters);
    told[`summary().fetch(${JSON.stringify(filters)})`] = [
      found.callSid, found.callType, found.callState, found.processingState, found.startTime, found.endTime,
      found.duration, found.connectDuration, found.from, found.to, found.properties, found.tags,
    ];
  }
  for (const filter of logFilters) {
    const rows = [];
    for await (const found of telnyx.callEvents.list({ filter, "page_size": 50 })) rows.push(row(found));
    const page = await telnyx.callEvents.list({ filter, page_size: 9, page_number: 2 });
    told[`callEvents.list(${JSON.stringify(filter)})`] = [rows, page.data.map(row), page.meta];
  }
  told["a call that is not there"] = await failure(() => twilio.calls("CA" + "0".repeat(32)).fetch());
  told["a wrong status"] = await failure(() => twilio.calls.list({ status: "initiated" }));
  const stranger = twilioSdk(account, "wrong");
  stranger.api.baseUrl = base;
  told["a wrong token"] = await failure(() => stranger.calls(about.call.sid).fetch());
  const other = new Telnyx({ apiKey: "wrong", baseURL: `${base}/v2`, maxRetries: 0 });
  told["a wrong key"] = await failure(() => other.callEvents.list());
  console.log(JSON.stringify(told));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
