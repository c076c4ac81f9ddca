#include "eval/bench/streams.h"

#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>

#include "lib/base/rng.h"

enum { PORTS_AT = 34, SEQUENCE_AT = 38, REST_AT = 42 };

/* Words of web pages and of what asks for them. Two of them begin as words of the rules do. */
static const char *const words[] = {
    "GET ",
    "/index.html ",
    "HTTP/1.1\r\n",
    "Host: ",
    "www.example.com\r\n",
    "Accept: ",
    "text/html, ",
    "image/webp, ",
    "User-Agent: ",
    "Mozilla/5.0 ",
    "(X11; ",
    "Linux x86_64) ",
    "Cookie: ",
    "session=7f3a; ",
    "Content-Type: ",
    "charset=",
    "utf-8\r\n",
    "<html>",
    "<body>",
    "<p class=\"text\">",
    "the ",
    "password ",
    "of ",
    "street ",
    "and ",
    "every ",
    "with ",
    "light ",
    "../images/",
    "Cache-Control: ",
    "max-age=3600\r\n",
    "Connection: ",
    "keep-alive\r\n",
    "<a href=\"/news/2014/\">",
    "harbour ",
    "measure ",
    "of ",
    "to ",
    "in ",
    "a ",
    "is ",
    "that ",
    "it ",
    "was ",
    "for ",
    "on ",
    "as ",
    "his ",
    "he ",
    "they ",
    "at ",
    "from ",
    "this ",
    "have ",
    "by ",
    "not ",
    "but ",
    "what ",
    "all ",
    "were ",
    "when ",
    "we ",
    "there ",
    "can ",
    "</p>\r\n",
    "</a> ",
    "<div id=\"content\">",
    "Server: ",
    "Apache\r\n",
    "Date: ",
    "Mon, 03 ",
    "Length: ",
    "1434\r\n",
    "river ",
    "garden ",
    "morning ",
    "winter ",
    "question",
};

static void write_text(struct bench_streams *s)
{
    struct rill_rng rng;
    size_t at = 0;

    rill_rng_seed(&rng, 1);
    while (at < sizeof(s->text)) {
        const char *word = words[rill_rng_below(&rng, sizeof(words) / sizeof(words[0]))];

        while (*word != '\0' && at < sizeof(s->text))
            s->text[at++] = (uint8_t)*word++;
    }
}

struct bench_streams *bench_streams_create(uint32_t flows)
{
    struct bench_streams *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->sent = calloc(flows, sizeof(s->sent[0]));
    if (s->sent == NULL) {
        free(s);
        return NULL;
    }
    write_text(s);
    return s;
}

void bench_streams_destroy(struct bench_streams *s)
{
    if (s == NULL)
        return;
    free(s->sent);
    free(s);
}

void bench_streams_fill(struct bench_streams *s, uint32_t flow, uint8_t *packet,
                        uint32_t packet_bytes)
{
    static const uint8_t ports[] = {0x13, 0x88, 0, 80};
    static const uint8_t rest[] = {0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0}; /* PSH, ACK */
    uint32_t n = packet_bytes - BENCH_STREAMS_HEAD_BYTES;
    uint32_t from = (s->sent[flow] + flow) % (BENCH_STREAMS_TEXT_BYTES - n);
    uint32_t sequence = rte_cpu_to_be_32(s->sent[flow]);

    memcpy(packet + PORTS_AT, ports, sizeof(ports));
    memcpy(packet + SEQUENCE_AT, &sequence, sizeof(sequence));
    memcpy(packet + REST_AT, rest, sizeof(rest));
    memcpy(packet + BENCH_STREAMS_HEAD_BYTES, s->text + from, n);
    s->sent[flow] += n;
}
