import com.fasterxml.jackson.core.*;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.*;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.*;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.*;
import java.util.*;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Peer for the throughput comparison: three dimensions (activity, value, frequency; see README.md), done the way a careful
 * Kafka Streams team would do it (Processor API, binary state, exactly-once v2, a due-time index for silence timers).
 * Usage: TagPeer BOOTSTRAP IN_TOPIC OUT_TOPIC EXPECTED_EVENTS THREADS (rocksdb|memory) (eos|alo) [COMMIT_MS]
 * Prints "first" when the first event is there and "last" when the last one is applied, lets time run out, commits, and says
 * what it counted. The property peer.name is the application's id.
 */
public class TagPeer {
  static final AtomicLong seen = new AtomicLong(), emitted = new AtomicLong();
  static volatile long firstNs = 0, lastNs = 0;
  static final long DAY = 86_400_000L, HOUR = 3_600_000L;
  static final int INTERACTION = 0, ORDER = 1, N_KINDS = 2;

  /** Panes: hour panes for 30 days, day panes for 365 days, sorted by pane number. */
  static final class State {
    long first, lastInteraction, lastOrder, due; int lifecycle = -1, value = -1, freq = -1;
    int nInt; int[] intPane = new int[8]; int[] intCount = new int[8];
    int nOrd; int[] ordPane = new int[4]; int[] ordCount = new int[4]; long[] ordCents = new long[4];
    static State read(byte[] b) {
      State s = new State(); if (b == null) return s;
      ByteBuffer x = ByteBuffer.wrap(b);
      s.first = x.getLong(); s.lastInteraction = x.getLong(); s.lastOrder = x.getLong(); s.due = x.getLong();
      s.lifecycle = x.get(); s.value = x.get(); s.freq = x.get();
      s.nInt = x.getShort(); s.intPane = new int[s.nInt + 2]; s.intCount = new int[s.nInt + 2];
      for (int i = 0; i < s.nInt; i++) { s.intPane[i] = x.getInt(); s.intCount[i] = x.getInt(); }
      s.nOrd = x.getShort(); s.ordPane = new int[s.nOrd + 2]; s.ordCount = new int[s.nOrd + 2]; s.ordCents = new long[s.nOrd + 2];
      for (int i = 0; i < s.nOrd; i++) { s.ordPane[i] = x.getInt(); s.ordCount[i] = x.getInt(); s.ordCents[i] = x.getLong(); }
      return s;
    }
    byte[] write() {
      ByteBuffer x = ByteBuffer.allocate(39 + nInt * 8 + nOrd * 16);
      x.putLong(first).putLong(lastInteraction).putLong(lastOrder).putLong(due).put((byte) lifecycle).put((byte) value).put((byte) freq);
      x.putShort((short) nInt); for (int i = 0; i < nInt; i++) x.putInt(intPane[i]).putInt(intCount[i]);
      x.putShort((short) nOrd); for (int i = 0; i < nOrd; i++) x.putInt(ordPane[i]).putInt(ordCount[i]).putLong(ordCents[i]);
      return x.array();
    }
    void addInteraction(int pane) {
      int i = nInt; while (i > 0 && intPane[i - 1] > pane) i--;
      if (i > 0 && intPane[i - 1] == pane) { intCount[i - 1]++; return; }
      if (nInt == intPane.length) { intPane = Arrays.copyOf(intPane, nInt * 2 + 2); intCount = Arrays.copyOf(intCount, nInt * 2 + 2); }
      System.arraycopy(intPane, i, intPane, i + 1, nInt - i); System.arraycopy(intCount, i, intCount, i + 1, nInt - i);
      intPane[i] = pane; intCount[i] = 1; nInt++;
    }
    void addOrder(int pane, long cents) {
      int i = nOrd; while (i > 0 && ordPane[i - 1] > pane) i--;
      if (i > 0 && ordPane[i - 1] == pane) { ordCount[i - 1]++; ordCents[i - 1] += cents; return; }
      if (nOrd == ordPane.length) { int n = nOrd * 2 + 2; ordPane = Arrays.copyOf(ordPane, n); ordCount = Arrays.copyOf(ordCount, n); ordCents = Arrays.copyOf(ordCents, n); }
      System.arraycopy(ordPane, i, ordPane, i + 1, nOrd - i); System.arraycopy(ordCount, i, ordCount, i + 1, nOrd - i); System.arraycopy(ordCents, i, ordCents, i + 1, nOrd - i);
      ordPane[i] = pane; ordCount[i] = 1; ordCents[i] = cents; nOrd++;
    }
    void expire(long now) {
      int h = (int) (now / HOUR) - 720, d = (int) (now / DAY) - 365, k = 0;
      while (k < nInt && intPane[k] <= h) k++;
      if (k > 0) { System.arraycopy(intPane, k, intPane, 0, nInt - k); System.arraycopy(intCount, k, intCount, 0, nInt - k); nInt -= k; }
      k = 0; while (k < nOrd && ordPane[k] <= d) k++;
      if (k > 0) { System.arraycopy(ordPane, k, ordPane, 0, nOrd - k); System.arraycopy(ordCount, k, ordCount, 0, nOrd - k); System.arraycopy(ordCents, k, ordCents, 0, nOrd - k); nOrd -= k; }
    }
  }

  static final String[] LIFE = {"new", "active", "dormant", "lost"}, LEVEL = {"low", "mid", "high"};

  static final class Tagger implements Processor<String, byte[], String, byte[]> {
    final JsonFactory json = new JsonFactory();
    ProcessorContext<String, byte[]> ctx; KeyValueStore<String, byte[]> store; KeyValueStore<byte[], byte[]> dues; long streamTime;
    @Override public void init(ProcessorContext<String, byte[]> c) {
      ctx = c; store = c.getStateStore("state"); dues = c.getStateStore("due");
      c.schedule(Duration.ofSeconds(1), PunctuationType.STREAM_TIME, this::fire);
    }
    static byte[] dueKey(long due, String id) {
      byte[] k = id.getBytes(StandardCharsets.UTF_8); return ByteBuffer.allocate(8 + k.length).putLong(due).put(k).array();
    }
    void fire(long now) {
      List<byte[]> fired = new ArrayList<>();
      try (KeyValueIterator<byte[], byte[]> it = dues.range(ByteBuffer.allocate(8).putLong(0).array(), ByteBuffer.allocate(8).putLong(now).array())) {
        while (it.hasNext()) fired.add(it.next().key);
      }
      for (byte[] k : fired) {
        dues.delete(k); String id = new String(k, 8, k.length - 8, StandardCharsets.UTF_8);
        State s = State.read(store.get(id)); long due = ByteBuffer.wrap(k).getLong();
        if (s.due != due) continue;
        s.due = 0; evaluate(id, s, due, null); store.put(id, s.write());
      }
    }
    @Override public void process(Record<String, byte[]> r) {
      String type = null, id = null, time = null, eid = null; double amount = 0;
      try (JsonParser p = json.createParser(r.value())) {
        if (p.nextToken() != JsonToken.START_OBJECT) return;
        while (p.nextToken() == JsonToken.FIELD_NAME) {
          String f = p.currentName(); JsonToken t = p.nextToken();
          switch (f) {
            case "type": type = p.getText(); break; case "subject": id = p.getText(); break;
            case "time": time = p.getText(); break; case "id": eid = p.getText(); break;
            case "data":
              if (t != JsonToken.START_OBJECT) { p.skipChildren(); break; }
              while (p.nextToken() == JsonToken.FIELD_NAME) { String g = p.currentName(); p.nextToken(); if (g.equals("amount")) amount = p.getDoubleValue(); else p.skipChildren(); }
              break;
            default: p.skipChildren();
          }
        }
      } catch (java.io.IOException e) { return; }
      if (type == null || id == null || time == null) return;
      long ts = Instant.parse(time).toEpochMilli();
      State s = State.read(store.get(id));
      while (s.due != 0 && s.due <= ts) { long d = s.due; s.due = 0; evaluate(id, s, d, null); }
      if (s.first == 0 || ts < s.first) s.first = ts;
      s.expire(ts);
      if (!type.equals("order.refunded")) { s.addInteraction((int) (ts / HOUR)); if (ts > s.lastInteraction) s.lastInteraction = ts; }
      if (type.equals("order.paid")) { s.addOrder((int) (ts / DAY), Math.round(amount * 100)); if (ts > s.lastOrder) s.lastOrder = ts; }
      evaluate(id, s, ts, eid);
      store.put(id, s.write());
      long n = seen.incrementAndGet(); if (n == 1) firstNs = System.nanoTime(); lastNs = System.nanoTime();
    }
    void evaluate(String id, State s, long now, String cause) {
      s.expire(now);
      long interactions = 0, orders30 = 0, cents = 0; int d30 = (int) (now / DAY) - 30;
      for (int i = 0; i < s.nInt; i++) interactions += s.intCount[i];
      for (int i = 0; i < s.nOrd; i++) { cents += s.ordCents[i]; if (s.ordPane[i] > d30) orders30 += s.ordCount[i]; }
      long idle = now - s.lastInteraction;
      int life = interactions >= 2 ? 1 : idle >= 90 * DAY ? 3 : idle >= 30 * DAY ? 2 : 0;
      int value = cents >= 1_000_000 ? 2 : cents >= 300_000 ? 1 : 0;
      int freq = orders30 >= 5 ? 2 : orders30 >= 1 ? 1 : 0;
      if (life != s.lifecycle) { emit(id, "activity", s.lifecycle < 0 ? null : LIFE[s.lifecycle], LIFE[life], now, cause); s.lifecycle = life; }
      if (value != s.value) { emit(id, "level", s.value < 0 ? null : LEVEL[s.value], LEVEL[value], now, cause); s.value = value; }
      if (freq != s.freq) { emit(id, "frequency", s.freq < 0 ? null : LEVEL[s.freq], LEVEL[freq], now, cause); s.freq = freq; }
      long next = Long.MAX_VALUE;
      if (s.nInt > 0) next = (s.intPane[0] + 720L) * HOUR;
      if (s.nOrd > 0) { next = Math.min(next, (s.ordPane[0] + 365L) * DAY); for (int i = 0; i < s.nOrd; i++) if (s.ordPane[i] > d30) { next = Math.min(next, (s.ordPane[i] + 30L) * DAY); break; } }
      for (long q : new long[]{30 * DAY, 90 * DAY}) if (s.lastInteraction + q > now) next = Math.min(next, s.lastInteraction + q);
      if (next != Long.MAX_VALUE && (s.due == 0 || next < s.due)) { s.due = next; dues.put(dueKey(next, id), new byte[0]); }
    }
    void emit(String id, String dim, String from, String to, long at, String cause) {
      String v = "{\"specversion\":\"1.0\",\"type\":\"tag.changed\",\"subject\":\"" + id + "\",\"time\":" + at + ",\"data\":{\"dimension\":\"" + dim + "\",\"from\":" + (from == null ? "null" : "\"" + from + "\"") + ",\"to\":\"" + to + "\",\"cause\":\"" + cause + "\"}}";
      ctx.forward(new Record<>(id, v.getBytes(StandardCharsets.UTF_8), Math.max(at, 0))); emitted.incrementAndGet();
    }
  }

  public static void main(String[] a) throws Exception {
    String boot = a[0], in = a[1], out = a[2]; long expect = Long.parseLong(a[3]); int threads = Integer.parseInt(a[4]);
    boolean mem = a[5].equals("memory"), eos = a[6].equals("eos");
    Properties p = new Properties();
    p.put(StreamsConfig.APPLICATION_ID_CONFIG, System.getProperty("peer.name", "peer-" + System.currentTimeMillis())); p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, boot);
    p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, threads); p.put(StreamsConfig.STATE_DIR_CONFIG, System.getProperty("java.io.tmpdir") + "/peer-state-" + System.nanoTime());
    p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, eos ? StreamsConfig.EXACTLY_ONCE_V2 : StreamsConfig.AT_LEAST_ONCE);
    p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, a.length > 7 ? Integer.parseInt(a[7]) : 1000); p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 512L << 20);
    p.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest"); p.put(StreamsConfig.consumerPrefix("max.poll.records"), 10000); p.put(StreamsConfig.consumerPrefix("fetch.max.bytes"), 64 << 20); p.put(StreamsConfig.consumerPrefix("max.partition.fetch.bytes"), 8 << 20);
    p.put(StreamsConfig.producerPrefix("linger.ms"), a.length > 7 ? 1 : 50); p.put(StreamsConfig.producerPrefix("batch.size"), 262144);
    p.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    Topology t = new Topology();
    t.addSource("in", new StringDeserializer(), new ByteArrayDeserializer(), in);
    t.addProcessor("tag", Tagger::new, "in");
    t.addStateStore(Stores.keyValueStoreBuilder(mem ? Stores.inMemoryKeyValueStore("state") : Stores.persistentKeyValueStore("state"), Serdes.String(), Serdes.ByteArray()).withCachingEnabled().withLoggingEnabled(Map.of()), "tag");
    t.addStateStore(Stores.keyValueStoreBuilder(mem ? Stores.inMemoryKeyValueStore("due") : Stores.persistentKeyValueStore("due"), Serdes.ByteArray(), Serdes.ByteArray()).withLoggingEnabled(Map.of()), "tag");
    t.addSink("out", out, new StringSerializer(), new ByteArraySerializer(), "tag");
    try (KafkaStreams s = new KafkaStreams(t, p)) {
      s.start();
      while (seen.get() == 0) Thread.sleep(2);
      System.out.println("first");
      while (seen.get() < expect) Thread.sleep(2);
      System.out.println("last");
      Thread.sleep(3000);
      s.close();
      double d = (lastNs - firstNs) / 1e9;
      System.out.printf("done events=%d seconds=%.3f changes=%d%n", seen.get(), d, emitted.get());
      System.out.flush(); Runtime.getRuntime().halt(0);
    }
  }
}
