import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.BitSet;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads a topic while it is written, and keeps of each record its number alone: ten digits at a fixed place of the value.
 * Arguments: bootstrap servers, topic, bytes in front of the number. A line on standard input says how many numbers were
 * given; then it reads to the end of the topic and prints how many it has seen, the copies, and the ranges it has not.
 */
public class Reader {
  public static void main(String[] args) throws Exception {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", args[0]);
    settings.put("fetch.min.bytes", "1000000");
    settings.put("fetch.max.wait.ms", "500");
    settings.put("max.poll.records", "20000");
    settings.put("enable.auto.commit", "false");
    int place = Integer.parseInt(args[2]);
    AtomicLong given = new AtomicLong(-1);
    Thread waiting = new Thread(() -> {
      try (var input = new BufferedReader(new InputStreamReader(System.in))) {
        given.set(Long.parseLong(input.readLine().trim()));
      } catch (Exception closed) {
        System.exit(1);
      }
    });
    waiting.setDaemon(true);
    waiting.start();
    BitSet seen = new BitSet();
    long copies = 0;
    try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> partitions = consumer.partitionsFor(args[1]).stream()
          .map(info -> new TopicPartition(info.topic(), info.partition())).collect(Collectors.toList());
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      while (true) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
          int number = 0;
          for (int at = place; at < place + 10; at++) number = number * 10 + record.value()[at] - '0';
          if (seen.get(number)) copies++;
          else seen.set(number);
        }
        if (given.get() < 0) continue;
        var ends = consumer.endOffsets(partitions);
        if (partitions.stream().allMatch(partition -> consumer.position(partition) >= ends.get(partition))) break;
      }
    }
    StringBuilder missing = new StringBuilder();
    for (int from = seen.nextClearBit(0); from < given.get(); ) {
      int to = seen.nextSetBit(from);
      if (to < 0 || to > given.get()) to = (int) given.get();
      if (missing.length() > 0) missing.append(',');
      missing.append('[').append(from).append(',').append(to).append(']');
      from = seen.nextClearBit(to);
    }
    System.out.printf("{\"seen\":%d,\"copies\":%d,\"missing\":[%s]}%n", seen.cardinality(), copies, missing);
  }
}
