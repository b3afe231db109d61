"""From a webhook to its records, each step a file:

    aiohttp's request
          │  handlers          bounds: method, coding, address, body, requests in work
          ▼
    WebhookRequest             request: the bytes and headers as they came
          │  public_url        Client: the sender, as far as its proxies are trusted
          ▼
    ParsedRequest              request: taken apart once, into provider, account and Content
          │  verification      credentials × twilio_signature or telnyx_signature
          ▼
    VerifiedRequest            only what the signature covers; the request itself ends here
          │  records           source_detection names the source; the worker's decoder gives the key
          ▼
    WebhookRecord …            handlers: to Kafka, then 204

A step that refuses raises RequestRefusedError, and the handlers answer with its status. A request refused
with 403 goes to `stream.gateway.diagnose` as the ParsedRequest that it is.
"""
