import com.fasterxml.jackson.core.*;
import org.apache.flink.api.common.eventtime.*;
import org.apache.flink.api.common.serialization.*;
import org.apache.flink.api.common.state.*;
import org.apache.flink.api.common.typeinfo.*;
import org.apache.flink.configuration.*;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.*;
import org.apache.flink.connector.kafka.source.*;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.streaming.api.environment.*;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;
import java.nio.charset.StandardCharsets;
import java.time.*;
import java.util.*;
import java.util.concurrent.atomic.AtomicLong;

/** Second peer: the same three dimensions on Flink's DataStream API, heap state, exact event-time timers, exactly-once sink.
 *  FlinkPeer BOOTSTRAP IN OUT EXPECTED PARALLELISM CHECKPOINT_MS
 *  Prints "first" when the first event is there and "last" when the last one is applied, lets time run out, stops with a savepoint,
 *  which commits, and says what it counted. */
public class FlinkPeer {
  static final AtomicLong seen = new AtomicLong(), emitted = new AtomicLong();
  static volatile long firstNs, lastNs;
  static final long DAY = 86_400_000L, HOUR = 3_600_000L;
  public static class Ev { public String id, type, subject; public long ts; public long cents; public Ev() {} }
  public static class S { public long last, due; public int life = -1, value = -1, freq = -1; public int nI; public int[] iP = new int[8], iC = new int[8]; public int nO; public int[] oP = new int[4], oC = new int[4]; public long[] oA = new long[4]; public S() {} }
  static final String[] LIFE = {"new", "active", "dormant", "lost"}, LEVEL = {"low", "mid", "high"};

  static class Decode implements KafkaRecordDeserializationSchema<Ev> {
    transient JsonFactory json;
    public TypeInformation<Ev> getProducedType() { return TypeInformation.of(Ev.class); }
    public void deserialize(org.apache.kafka.clients.consumer.ConsumerRecord<byte[], byte[]> r, Collector<Ev> out) throws java.io.IOException {
      if (json == null) json = new JsonFactory(); Ev e = new Ev(); String time = null;
      try (JsonParser p = json.createParser(r.value())) {
        p.nextToken();
        while (p.nextToken() == JsonToken.FIELD_NAME) {
          String f = p.currentName(); p.nextToken();
          switch (f) {
            case "type": e.type = p.getText(); break; case "subject": e.subject = p.getText(); break; case "time": time = p.getText(); break; case "id": e.id = p.getText(); break;
            case "data": while (p.nextToken() == JsonToken.FIELD_NAME) { String g = p.currentName(); p.nextToken(); if (g.equals("amount")) e.cents = Math.round(p.getDoubleValue() * 100); else p.skipChildren(); } break;
            default: p.skipChildren();
          }
        }
      }
      e.ts = Instant.parse(time).toEpochMilli(); out.collect(e);
    }
  }
  static class Tag extends KeyedProcessFunction<String, Ev, byte[]> {
    transient ValueState<S> st;
    public void open(org.apache.flink.api.common.functions.OpenContext c) { st = getRuntimeContext().getState(new ValueStateDescriptor<>("s", S.class)); }
    public void processElement(Ev e, Context c, Collector<byte[]> out) throws Exception {
      S s = st.value(); if (s == null) s = new S();
      while (s.due != 0 && s.due <= e.ts) { long d = s.due; s.due = 0; eval(e.subject, s, d, null, c, out); }
      int h = (int) (e.ts / HOUR); int i = s.nI; while (i > 0 && s.iP[i - 1] > h) i--;
      if (i > 0 && s.iP[i - 1] == h) s.iC[i - 1]++;
      else { if (s.nI == s.iP.length) { s.iP = Arrays.copyOf(s.iP, s.nI * 2); s.iC = Arrays.copyOf(s.iC, s.nI * 2); } System.arraycopy(s.iP, i, s.iP, i + 1, s.nI - i); System.arraycopy(s.iC, i, s.iC, i + 1, s.nI - i); s.iP[i] = h; s.iC[i] = 1; s.nI++; }
      if (e.ts > s.last) s.last = e.ts;
      if (e.type.equals("order.paid")) {
        int d = (int) (e.ts / DAY); i = s.nO; while (i > 0 && s.oP[i - 1] > d) i--;
        if (i > 0 && s.oP[i - 1] == d) { s.oC[i - 1]++; s.oA[i - 1] += e.cents; }
        else { if (s.nO == s.oP.length) { int n = s.nO * 2; s.oP = Arrays.copyOf(s.oP, n); s.oC = Arrays.copyOf(s.oC, n); s.oA = Arrays.copyOf(s.oA, n); } System.arraycopy(s.oP, i, s.oP, i + 1, s.nO - i); System.arraycopy(s.oC, i, s.oC, i + 1, s.nO - i); System.arraycopy(s.oA, i, s.oA, i + 1, s.nO - i); s.oP[i] = d; s.oC[i] = 1; s.oA[i] = e.cents; s.nO++; }
      }
      eval(e.subject, s, e.ts, e.id, c, out); st.update(s);
      long n = seen.incrementAndGet(); if (n == 1) firstNs = System.nanoTime(); lastNs = System.nanoTime();
    }
    public void onTimer(long t, OnTimerContext c, Collector<byte[]> out) throws Exception {
      S s = st.value(); if (s == null || s.due != t) return; s.due = 0; eval(c.getCurrentKey(), s, t, null, c, out); st.update(s);
    }
    void eval(String id, S s, long now, String cause, Context c, Collector<byte[]> out) {
      int h = (int) (now / HOUR) - 720, d = (int) (now / DAY) - 365, d30 = (int) (now / DAY) - 30, k = 0;
      while (k < s.nI && s.iP[k] <= h) k++; if (k > 0) { System.arraycopy(s.iP, k, s.iP, 0, s.nI - k); System.arraycopy(s.iC, k, s.iC, 0, s.nI - k); s.nI -= k; }
      k = 0; while (k < s.nO && s.oP[k] <= d) k++; if (k > 0) { System.arraycopy(s.oP, k, s.oP, 0, s.nO - k); System.arraycopy(s.oC, k, s.oC, 0, s.nO - k); System.arraycopy(s.oA, k, s.oA, 0, s.nO - k); s.nO -= k; }
      long n = 0, o30 = 0, cents = 0; for (int i = 0; i < s.nI; i++) n += s.iC[i]; for (int i = 0; i < s.nO; i++) { cents += s.oA[i]; if (s.oP[i] > d30) o30 += s.oC[i]; }
      long idle = now - s.last; int life = n >= 2 ? 1 : idle >= 90 * DAY ? 3 : idle >= 30 * DAY ? 2 : 0, value = cents >= 1_000_000 ? 2 : cents >= 300_000 ? 1 : 0, freq = o30 >= 5 ? 2 : o30 >= 1 ? 1 : 0;
      if (life != s.life) { emit(out, id, "activity", s.life < 0 ? null : LIFE[s.life], LIFE[life], now, cause); s.life = life; }
      if (value != s.value) { emit(out, id, "level", s.value < 0 ? null : LEVEL[s.value], LEVEL[value], now, cause); s.value = value; }
      if (freq != s.freq) { emit(out, id, "frequency", s.freq < 0 ? null : LEVEL[s.freq], LEVEL[freq], now, cause); s.freq = freq; }
      long next = Long.MAX_VALUE;
      if (s.nI > 0) next = (s.iP[0] + 720L) * HOUR;
      if (s.nO > 0) { next = Math.min(next, (s.oP[0] + 365L) * DAY); for (int i = 0; i < s.nO; i++) if (s.oP[i] > d30) { next = Math.min(next, (s.oP[i] + 30L) * DAY); break; } }
      if (s.last + 30 * DAY > now) next = Math.min(next, s.last + 30 * DAY); if (s.last + 90 * DAY > now) next = Math.min(next, s.last + 90 * DAY);
      if (next != Long.MAX_VALUE && (s.due == 0 || next < s.due)) { s.due = next; c.timerService().registerEventTimeTimer(next); }
    }
    void emit(Collector<byte[]> out, String id, String dim, String from, String to, long at, String cause) {
      out.collect(("{\"specversion\":\"1.0\",\"type\":\"tag.changed\",\"subject\":\"" + id + "\",\"time\":" + at + ",\"data\":{\"dimension\":\"" + dim + "\",\"from\":" + (from == null ? "null" : "\"" + from + "\"") + ",\"to\":\"" + to + "\",\"cause\":\"" + cause + "\"}}").getBytes(StandardCharsets.UTF_8)); emitted.incrementAndGet();
    }
  }
  public static void main(String[] a) throws Exception {
    long expect = Long.parseLong(a[3]); Configuration conf = new Configuration();
    conf.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, "file://" + System.getProperty("java.io.tmpdir") + "/flink-ck"); conf.set(TaskManagerOptions.MANAGED_MEMORY_SIZE, MemorySize.ofMebiBytes(64));
    StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(Integer.parseInt(a[4]), conf);
    env.enableCheckpointing(Long.parseLong(a[5])); env.getConfig().enableObjectReuse(); env.getConfig().setAutoWatermarkInterval(200);
    KafkaSource<Ev> src = KafkaSource.<Ev>builder().setBootstrapServers(a[0]).setTopics(a[1]).setGroupId("flink-" + System.currentTimeMillis()).setStartingOffsets(OffsetsInitializer.earliest()).setDeserializer(new Decode()).build();
    KafkaSink<byte[]> sink = KafkaSink.<byte[]>builder().setBootstrapServers(a[0]).setRecordSerializer(KafkaRecordSerializationSchema.<byte[]>builder().setTopic(a[2]).setValueSerializationSchema(new SerializationSchema<byte[]>() { public byte[] serialize(byte[] b) { return b; } }).build()).setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE).setTransactionalIdPrefix("fp" + System.currentTimeMillis()).setProperty("transaction.timeout.ms", "600000").build();
    env.fromSource(src, WatermarkStrategy.<Ev>forMonotonousTimestamps().withTimestampAssigner((e, t) -> e.ts), "in").keyBy(e -> e.subject).process(new Tag()).returns(PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO).sinkTo(sink);
    org.apache.flink.core.execution.JobClient job = env.executeAsync();
    while (seen.get() == 0) Thread.sleep(2);
    System.out.println("first");
    while (seen.get() < expect) Thread.sleep(2);
    System.out.println("last");
    Thread.sleep(3000);
    job.stopWithSavepoint(false, "file://" + System.getProperty("java.io.tmpdir") + "/flink-end", org.apache.flink.core.execution.SavepointFormatType.NATIVE).get();
    double d = (lastNs - firstNs) / 1e9;
    System.out.printf("done events=%d seconds=%.3f changes=%d%n", seen.get(), d, emitted.get());
    System.out.flush(); Runtime.getRuntime().halt(0);
  }
}
