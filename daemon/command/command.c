#include "command/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct tagd_command tagd_commands[] = {
#ifdef TAGD_WITH_RUN
    {"run", "the daemon: events from Kafka in, tag changes out",
     "usage: tagd run --config FILE [--create-topics] [--rebuild] [--core-dumps]\n"
     "\n"
     "Reads events from the source topics, keeps each customer's state in Redis, and publishes tag\n"
     "changes. Logs to stderr, or to the file of \"log.file\", which SIGHUP opens again. SIGTERM and SIGINT\n"
     "stop it: what is in flight is finished first; a second signal ends it at once, and the next start\n"
     "finishes the rest.\n"
     "\n"
     "  --config FILE     the configuration (JSON, comments allowed)\n"
     "  --create-topics   creates the source and output topics that are missing: with as many partitions\n"
     "                    as the sources that are there have, else 6\n"
     "  --rebuild         when Redis was emptied: makes the state again of each shard that it has none\n"
     "                    of, from the source topics' beginnings; nothing is published twice. Sources and\n"
     "                    outputs must still hold all from their beginnings, or it says what is missing.\n"
     "                    Where Redis has the state it changes nothing\n"
     "  --core-dumps      lets a crash leave a core dump, which holds customers' data and passwords;\n"
     "                    without it there is none, whatever the limits say\n"
     "  --help, --version\n"
     "\n"
     "example:\n"
     "  tagd run --config tagd.json --create-topics\n"
     "\n"
     "exit codes: 0 stopped on a signal; 64 usage; 69 Kafka or Redis is out of reach at the start or\n"
     "  while it stops; 78 a person is needed: the configuration or catalog is wrong, topics or stored\n"
     "  state don't fit them, or records or state were lost that it can't make again\n",
     tagd_command_run},
#endif
    {"check", "says what is wrong with a configuration or catalog, or sums it up",
     "usage: tagd check [--config FILE] [--catalog FILE]\n"
     "\n"
     "Prints a summary if all is well; else the first error, with its place. Asks no server.\n"
     "\n"
     "  --config FILE    the configuration, its Kafka properties, and the catalog it names\n"
     "  --catalog FILE   a catalog by itself; with --config as well, first the one, then the other\n"
     "  --help, --version\n"
     "\n"
     "example:\n"
     "  tagd check --catalog shop.json\n"
     "\n"
     "exit codes: 0 all is well; 64 usage; 78 the configuration or catalog is wrong\n",
     tagd_command_check},
    {"simulate", "events from a file in, output events on stdout; no Kafka, no Redis",
     "usage: tagd simulate --catalog FILE [--until TIME] [--population FILE]\n"
     "                     [--report FILE [--period DAYS] [--format F] [--language L]]\n"
     "                     [EVENTS.jsonl]\n"
     "\n"
     "Tries a catalog on events: prints the tag changes that they and the passing of time make, one\n"
     "JSON a line.\n"
     "\n"
     "  --catalog FILE   the catalog\n"
     "  --until TIME     lets time run until then (RFC 3339), included; default: the latest event's time\n"
     "  --population FILE\n"
     "                   writes there how many customers carry which tag in the end, and how many came to\n"
     "                   it and left it by day, as one JSON document\n"
     "  --report FILE    writes there what tagd report would say: .html with charts, .md or .json\n"
     "  --period DAYS    of the report; default 30d\n"
     "  --format F       of the report, whatever its name: markdown, html or json\n"
     "  --language L     of the report: en (default) or zh-CN\n"
     "  EVENTS.jsonl     CloudEvents, one a line, each with its \"time\"; \"-\" or none: standard input\n"
     "  --help, --version\n"
     "\n"
     "A line that is no usable event goes to stderr as JSON: {\"line\", \"error\", \"reason\"}.\n"
     "\n"
     "example:\n"
     "  tagd simulate --catalog shop.json --until 2026-12-31T00:00:00+08:00 events.jsonl\n"
     "\n"
     "exit codes: 0 done; 64 usage; 65 the events can't be read, or a line is no usable event;\n"
     "  69 standard output can't be written; 78 the catalog is wrong\n",
     tagd_command_simulate},
#ifdef TAGD_WITH_RUN
    {"import", "history from files as a baseline, before the daemon's first event",
     "usage: tagd import --config FILE --until TIME [--create-topics] EVENTS.jsonl...\n"
     "\n"
     "Events before TIME make state and tags; nothing is published. The daemon then ignores the stream's\n"
     "events before TIME, so that each event counts once. Killed, it is run again with the same files\n"
     "and goes on where it was.\n"
     "\n"
     "  --config FILE     the daemon's configuration; its group must be new, and not running\n"
     "  --until TIME      history is what is before TIME (RFC 3339), the stream what is at or after it\n"
     "  --create-topics   creates source and output topics that are missing\n"
     "  EVENTS.jsonl...   one event a line, as simulate takes them; several files are merged by time\n"
     "  --help, --version\n"
     "\n"
     "A line that is no usable event goes to stderr as JSON: {\"line\", \"error\", \"reason\"}.\n"
     "\n"
     "example: the topics keep 7 days, the archive has the years before\n"
     "  tagd import --config tagd.json --until 2026-11-20T00:00:00Z archive/*.jsonl\n"
     "  tagd run --config tagd.json\n"
     "\n"
     "exit codes: 0 done; 64 usage; 65 the events can't be read, or it is done but lines were no usable\n"
     "  events; 69 a server is out of reach, or the group is in use; 78 the configuration or catalog is\n"
     "  wrong, or topics or stored state don't fit them\n",
     tagd_command_import},
#endif
    {"population", "how many customers carry which tag, and whether that is what their profiles say",
     "usage: tagd population --config FILE [--dimension D] [--breakdown A,B] [--days N] [--months N]\n"
     "                       [--tags N] [--json]\n"
     "       tagd population --config FILE --recount\n"
     "\n"
     "Reads what the daemons have counted in Redis and changes nothing, whether they run or not.\n"
     "\n"
     "  --config FILE    the configuration that the daemon runs with\n"
     "  --dimension D    one dimension alone, or an alert: alert:NAME\n"
     "  --breakdown A,B  also how many carry which two tags, of a pair in the catalog's \"breakdowns\";\n"
     "                   \"all\": of each\n"
     "  --days N         also who came and who left, day by day, the last N days of at most 400\n"
     "  --months N       also how many goals began in which month, and were reached or missed by now, the\n"
     "                   last N months of at most 24\n"
     "  --tags N         of a value, and of a pair, the N most frequent; default 1000\n"
     "  --json           as one JSON document, as GET /v1/population gives it\n"
     "  --recount        counts all profiles and compares; of a shard that changes meanwhile up to 5 times\n"
     "  --help, --version\n"
     "\n"
     "example:\n"
     "  tagd population --config tagd.json --dimension value.level --days 30\n"
     "\n"
     "exit codes: 0 done, and nothing differs; 64 usage; 65 a recount found differences; 69 Redis is out\n"
     "  of reach, or shards couldn't be compared: try again; 78 the configuration or catalog is wrong, or\n"
     "  Redis doesn't fit them\n",
     tagd_command_population},
    {"report", "a period's portrait of the customers, to read or to show",
     "usage: tagd report --config FILE [--period DAYS] [--format html|markdown|json]\n"
     "                   [--language en|zh-CN]\n"
     "\n"
     "Tags and who came to them and left, churn, goals against their targets, alerts, the catalog's\n"
     "measures of who carries a tag beside those of all, and tags that nobody carries. Reads Redis and\n"
     "changes nothing, whether daemons run or not; with measures it reads every profile.\n"
     "\n"
     "  --config FILE    the configuration that the daemon runs with\n"
     "  --period DAYS    7d, 30d, 90d or any other, up to the present; default 30d, at most 400d\n"
     "  --format F       markdown (default), html: one file with charts, or json\n"
     "  --language L     en (default) or zh-CN, for markdown and html\n"
     "  --help, --version\n"
     "\n"
     "example:\n"
     "  tagd report --config tagd.json --period 90d --format html > report.html\n"
     "\n"
     "exit codes: 0 done; 64 usage; 69 Redis is out of reach; 78 the configuration or catalog is wrong, or\n"
     "  Redis doesn't fit them\n",
     tagd_command_report},
    {"hold", "keeps outputs back: changes are made and not published",
     "usage: tagd hold --config FILE [--reason TEXT]\n"
     "       tagd hold --config FILE --list\n"
     "\n"
     "For the whole group, within a second, until tagd release, also over restarts. Events are still read,\n"
     "state and views in Redis still change; what would be published is kept there, up to 16 MiB a shard,\n"
     "and then nothing more is read.\n"
     "\n"
     "  --config FILE   the configuration that the daemon runs with\n"
     "  --reason TEXT   for whoever looks next\n"
     "  --list          says what is held, and changes nothing\n"
     "  --help, --version\n"
     "\n"
     "example:\n"
     "  tagd hold --config tagd.json --reason \"a wrong catalog went live\"\n"
     "\n"
     "exit codes: 0 done; 64 usage; 69 Redis is out of reach; 78 the configuration or catalog is wrong, or\n"
     "  Redis doesn't fit them\n",
     tagd_command_hold},
    {"release", "lets go what is held, by a person, by a limit or since a source is silent",
     "usage: tagd release --config FILE [--outputs] [--for DURATION] [--source TOPIC] [--clock]\n"
     "\n"
     "Without --outputs, --source and --clock: all that is held now. What was kept is published, in order.\n"
     "\n"
     "  --config FILE    the configuration that the daemon runs with\n"
     "  --outputs        outputs that tagd hold or max_changes_per_minute has held\n"
     "  --for DURATION   and max_changes_per_minute doesn't count for so long, as in 1h; at most 7d\n"
     "  --source TOPIC   time that is held since this source is silent: it may be, until its next event\n"
     "  --clock          time that is held since Redis's clock is another one than this host's: it may be.\n"
     "                   To be typed on the host whose daemon says so\n"
     "  --help, --version\n"
     "\n"
     "example: the campaign was expected to move many customers\n"
     "  tagd release --config tagd.json --outputs --for 1h\n"
     "\n"
     "exit codes: 0 done; 64 usage; 69 Redis is out of reach; 78 the configuration or catalog is wrong, or\n"
     "  Redis doesn't fit them\n",
     tagd_command_release},
    {"dead-letters", "what couldn't be used: lists it, shows it, and replays it once it can be",
     "usage: tagd dead-letters list --config FILE [--code C] [--topic T] [--since TIME] [--until TIME]\n"
     "                              [--limit N] [--json]\n"
     "       tagd dead-letters show --config FILE [--json] PARTITION:OFFSET\n"
     "       tagd dead-letters replay --config FILE [--code C] [--topic T] [--since TIME]\n"
     "                              [--until TIME] [--dry-run] [PARTITION:OFFSET...]\n"
     "\n"
     "list tells the letters of the group with their codes and reasons, show one letter whole. replay,\n"
     "after a fix of the configuration or of tagd, puts records into their source topics again, byte for\n"
     "byte, each once, however often it is run or killed; a misrouted one into the partition where its\n"
     "subject belongs. What would be a dead letter again is left. It may be run while the daemon runs.\n"
     "\n"
     "  --config FILE     the configuration that the daemon runs with\n"
     "  --code C          those of one code: too_large, malformed, junk_subject, invalid, past, future,\n"
     "                    misrouted, unsupported, poison; replay takes poison by code or place alone\n"
     "  --topic T         those of one source topic\n"
     "  --since TIME      dead-lettered at or after TIME (RFC 3339)\n"
     "  --until TIME      dead-lettered before TIME\n"
     "  --limit N         the latest N are listed; default 1000\n"
     "  --json            as one JSON document\n"
     "  --dry-run         says what would be replayed, and what would be left; changes nothing\n"
     "  PARTITION:OFFSET  a letter's place in the dead-letter topic, as list tells it\n"
     "  --help, --version\n"
     "\n"
     "example: max_event_bytes was too small, and the daemon was started again with more\n"
     "  tagd dead-letters replay --config tagd.json --code too_large\n"
     "\n"
     "exit codes: 0 done; 64 usage; 65 no such letter, or letters were left; 69 Kafka is out of reach, or\n"
     "  another replay began: run it again; 78 the configuration or catalog is wrong, or topics don't\n"
     "  fit them\n",
     tagd_command_dead_letters},
#ifdef TAGD_WITH_RUN
    {"skip", "passes one record over that the daemon can't get past",
     "usage: tagd skip --config FILE --topic T --partition N --offset O [--reason TEXT]\n"
     "                 [--without-record]\n"
     "\n"
     "The record becomes a dead letter, poison, byte for byte, and is never read by the daemon; time and\n"
     "customers stay as they are. All daemons of the group must be stopped. Only the next record of a\n"
     "partition can be skipped: the log names it, and so does an attempt with another offset. What was\n"
     "committed and not published is published first. Killed, it is run again, or the daemon is started.\n"
     "\n"
     "  --config FILE     the configuration that the daemon runs with\n"
     "  --topic T         the source topic\n"
     "  --partition N     the record's partition\n"
     "  --offset O        its offset\n"
     "  --reason TEXT     for whoever reads the dead letter; at most 200 bytes\n"
     "  --without-record  also if Kafka can't give the record: then its dead letter has none of its bytes\n"
     "  --help, --version\n"
     "\n"
     "example:\n"
     "  tagd skip --config tagd.json --topic events --partition 3 --offset 4711\n"
     "\n"
     "exit codes: 0 done; 64 usage; 69 a server is out of reach or failed: run it again, it tells what is\n"
     "  there; 78 it may not be skipped, or the configuration, catalog or stored state don't allow it\n",
     tagd_command_skip},
#endif
    {"doctor", "what is wrong with a set-up: configuration, Kafka, Redis, this host",
     "usage: tagd doctor --config FILE [--json]\n"
     "\n"
     "One line a check: ok, warn or fail, what was found, and what to do. Changes nothing, whether daemons\n"
     "run or not; if none runs, the group's transactional id is begun once, as the daemon's start does.\n"
     "\n"
     "  --config FILE   the configuration that the daemon runs with\n"
     "  --json          as one JSON document\n"
     "  --help, --version\n"
     "\n"
     "example: before the first start, and after every change of Kafka or Redis\n"
     "  tagd doctor --config tagd.json\n"
     "\n"
     "exit codes: 0 nothing failed; 64 usage; 69 a server is out of reach; 78 something failed, or the\n"
     "  configuration or catalog is wrong\n",
     tagd_command_doctor},
    {"explain", "a customer's tags, the values behind each, why, and what changes next",
     "usage: tagd explain --config FILE CUSTOMER\n"
     "\n"
     "Reads the customer's state from Redis and changes nothing, whether the daemon runs or not.\n"
     "\n"
     "  --config FILE   the configuration that the daemon runs with\n"
     "  CUSTOMER        the customer's id (the events' \"subject\"); after \"--\" if it begins with \"-\"\n"
     "  --help, --version\n"
     "\n"
     "example:\n"
     "  tagd explain --config tagd.json C2024001\n"
     "\n"
     "exit codes: 0 done; 64 usage; 65 the customer isn't known; 69 Redis is out of reach;\n"
     "  78 the configuration or catalog is wrong, or Redis doesn't fit them\n",
     tagd_command_explain},
    {"fit", "fits the churn model to a file of purchases",
     "usage: tagd fit --model bg-nbd|mbg-nbd [--event TYPE] [--until TIME] [--timezone OFFSET]\n"
     "         [EVENTS.jsonl]\n"
     "\n"
     "Prints the catalog's \"churn\" section: the model's parameters by maximum likelihood, with their\n"
     "standard errors, how often customers bought against what the model expects, and warnings where it\n"
     "doesn't fit (on stderr too).\n"
     "\n"
     "  --model MODEL      bg-nbd: nobody leaves before their first repeat purchase; mbg-nbd: they may\n"
     "  --event TYPE       what a purchase is; default: order.paid\n"
     "  --until TIME       what is known at that time (RFC 3339), included; default: the latest event's\n"
     "  --timezone OFFSET  where a day begins, as in the catalog; default: +00:00. A day counts once\n"
     "  EVENTS.jsonl       CloudEvents, one a line, each with its \"time\"; \"-\" or none: standard input\n"
     "  --help, --version\n"
     "\n"
     "A line that is no usable event goes to stderr as JSON: {\"line\", \"error\", \"reason\"}.\n"
     "\n"
     "example:\n"
     "  tagd fit --model bg-nbd --until 2026-11-01T00:00:00+08:00 --timezone +08:00 orders.jsonl\n"
     "\n"
     "exit codes: 0 done; 64 usage; 65 the events can't be read, a line is no usable event, or too few\n"
     "  customers bought on more than one day; 69 standard output can't be written\n",
     tagd_command_fit},
};
const size_t tagd_n_commands = sizeof(tagd_commands) / sizeof(tagd_commands[0]);

int tagd_command_error(enum tagd_exit code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    flockfile(stderr);
    fputs("tagd: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    funlockfile(stderr);
    va_end(args);
    return (int)code;
}

bool tagd_options_next(struct tagd_options *options)
{
    if (options->failed)
        return false;
    if (options->at + 1 >= options->argc) {
        if (options->attached != NULL && options->is_option) {
            tagd_command_error(TAGD_EXIT_USAGE, "%s takes no value; leave out \"=%s\"", options->word,
                               options->attached);
            options->failed = true;
        }
        return false;
    }
    if (options->attached != NULL) { /* nobody took it */
        tagd_command_error(TAGD_EXIT_USAGE, "%s takes no value; leave out \"=%s\"", options->word, options->attached);
        options->failed = true;
        return false;
    }
    options->word = options->argv[++options->at];
    if (!options->only_operands && strcmp(options->word, "--") == 0) {
        options->only_operands = true;
        return tagd_options_next(options);
    }
    options->is_option = !options->only_operands && options->word[0] == '-' && options->word[1] != '\0';
    if (options->is_option) {
        char *equals = strchr(options->word, '=');
        if (equals != NULL) {
            *equals = '\0';
            options->attached = equals + 1;
        }
    }
    return true;
}

bool tagd_options_is(const struct tagd_options *options, const char *name)
{
    if (name == NULL)
        return !options->is_option;
    return options->is_option && strcmp(options->word, name) == 0;
}

char *tagd_options_value(struct tagd_options *options)
{
    char *value = options->attached;
    if (value == NULL && options->at + 1 < options->argc)
        value = options->argv[++options->at];
    options->attached = NULL;
    if (value != NULL && *value != '\0')
        return value;
    tagd_command_error(TAGD_EXIT_USAGE, "%s needs a value; tagd %s --help shows how", options->word, options->argv[0]);
    options->failed = true;
    return NULL;
}

void tagd_options_unknown(struct tagd_options *options)
{
    tagd_command_error(TAGD_EXIT_USAGE, "unexpected \"%s\"; tagd %s --help shows what is taken", options->word,
                       options->argv[0]);
    options->failed = true;
}
