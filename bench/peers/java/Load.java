import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Kafka's Java client under the same load as ours: keyed records, so many callers that each wait for the acknowledgement,
 * two threads that send. ProducerPerformance knows no keys. Arguments: bootstrap servers, topic, compression, callers,
 * warm-up and window in ms; values on standard input, one a line. Prints what it measured as JSON.
 */
public class Load {
  static volatile boolean running = true;
  static volatile boolean counting = false;

  public static void main(String[] args) throws Exception {
    List<byte[]> values = new ArrayList<>();
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line; (line = input.readLine()) != null; ) values.add(line.getBytes(StandardCharsets.UTF_8));
    Properties settings = new Properties();
    settings.put("bootstrap.servers", args[0]);
    settings.put("acks", "all");
    settings.put("linger.ms", "5");
    settings.put("batch.size", "262144");
    settings.put("buffer.memory", "268435456");
    settings.put("compression.type", args[2]);
    settings.put("client.id", "bench");
    int callers = Integer.parseInt(args[3]);
    Semaphore waiting = new Semaphore(callers);
    AtomicLong acknowledged = new AtomicLong();
    AtomicReference<Exception> failure = new AtomicReference<>();
    AtomicInteger next = new AtomicInteger();
    // Callbacks all come on the client's one thread.
    int[] latencies = new int[1 << 22];
    int[] count = {0};
    try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
      Runnable send = () -> {
        while (running) {
          waiting.acquireUninterruptibly();
          int n = next.getAndIncrement();
          byte[] key = ("session-" + (n * 7919L) % 10_007).getBytes(StandardCharsets.UTF_8);
          var record = new ProducerRecord<>(args[1], key, values.get(n % values.size()));
          record.headers().add("spillway-id", UUID.randomUUID().toString().getBytes(StandardCharsets.UTF_8));
          long from = System.nanoTime();
          producer.send(record, (metadata, error) -> {
            if (error != null) failure.compareAndSet(null, error);
            else acknowledged.incrementAndGet();
            if (counting && count[0] < latencies.length) latencies[count[0]++] = (int) ((System.nanoTime() - from) / 1000);
            waiting.release();
          });
        }
      };
      Thread[] senders = {new Thread(send), new Thread(send)};
      for (Thread sender : senders) sender.start();
      Thread.sleep(Long.parseLong(args[4]));
      var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
      long cpuFrom = system.getProcessCpuTime();
      long recordsFrom = acknowledged.get();
      long from = System.nanoTime();
      counting = true;
      Thread.sleep(Long.parseLong(args[5]));
      double seconds = (System.nanoTime() - from) / 1e9;
      long records = acknowledged.get() - recordsFrom;
      double cpuMicros = (system.getProcessCpuTime() - cpuFrom) / 1e3;
      counting = false;
      running = false;
      for (Thread sender : senders) sender.join();
      waiting.acquireUninterruptibly(callers);
      if (failure.get() != null) throw failure.get();
      int[] sorted = Arrays.copyOf(latencies, count[0]);
      Arrays.sort(sorted);
      System.out.printf(
          "{\"recordsPerSecond\":%.1f,\"cpuMicrosPerRecord\":%.2f,\"p50Ms\":%.2f,\"p99Ms\":%.2f,\"peakRssMiB\":%.0f}%n",
          records / seconds, cpuMicros / Math.max(1, records), at(sorted, 0.5), at(sorted, 0.99), peakMiB());
    }
  }

  static double at(int[] sorted, double quantile) {
    return sorted.length == 0 ? 0 : sorted[Math.min(sorted.length - 1, (int) (sorted.length * quantile))] / 1000.0;
  }

  static double peakMiB() throws Exception {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmHWM:")) return Double.parseDouble(line.replaceAll("\\D", "")) / 1024;
    }
    return 0;
  }
}
