import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Random;
import java.util.Scanner;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.*;
import org.apache.kafka.common.utils.Utils;

/** `write`: batches by the Java client as hex. `read`: describes batches given as hex lines. `murmur2`: hashes of random keys. */
class Interop {
  static final HexFormat HEX = HexFormat.of();

  static String hex(byte[] bytes) {
    return bytes == null ? "null" : HEX.formatHex(bytes);
  }

  static byte[] text(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static byte[] bytes(ByteBuffer buffer) {
    return buffer == null ? null : Utils.toArray(buffer);
  }

  static String describe(org.apache.kafka.common.record.Record record) {
    StringBuilder line = new StringBuilder();
    line.append(record.offset()).append(' ').append(record.timestamp()).append(' ');
    line.append(hex(bytes(record.key()))).append(' ').append(hex(bytes(record.value())));
    for (Header header : record.headers()) line.append(' ').append(hex(text(header.key()))).append('=').append(hex(header.value()));
    return line.toString();
  }

  static void write(String name, Compression compression) {
    MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(1024), (byte) 2, compression,
        TimestampType.CREATE_TIME, 0L, -1L, 77L, (short) 3, 1234, false, false, -1);
    Header[] none = new Header[0];
    builder.append(1700000000000L, text("key"), text("value"), none);
    builder.append(1600000000000L, null, text("ü".repeat(400)), new Header[] {
        new RecordHeader("same", text("1")), new RecordHeader("same", text("2")), new RecordHeader("empty", new byte[0]),
        new RecordHeader("null", (byte[]) null), new RecordHeader("bytes", new byte[] {0, (byte) 0xff, (byte) 0xfe}) });
    builder.append(1800000000000L, new byte[0], null, none);
    builder.append(1800000000000L, text("k"), new byte[0], new Header[] { new RecordHeader("spillway-id", text("an id")) });
    MemoryRecords records = builder.build();
    System.out.println(name + " " + hex(bytes(records.buffer().duplicate())));
    for (org.apache.kafka.common.record.Record record : records.records()) System.out.println(name + "-record " + describe(record));
  }

  public static void main(String[] args) {
    if (args[0].equals("write")) {
      write("none", Compression.NONE);
      write("gzip", Compression.gzip().build());
      write("snappy", Compression.snappy().build());
      write("lz4", Compression.lz4().build());
      write("zstd", Compression.zstd().build());
      Random random = new Random(4711);
      for (int i = 0; i < 200; i++) {
        byte[] key = new byte[random.nextInt(70)];
        random.nextBytes(key);
        System.out.println("murmur2 " + HEX.formatHex(key) + " " + Utils.murmur2(key));
      }
      return;
    }
    Scanner lines = new Scanner(args[1]);
    while (lines.hasNext()) {
      for (RecordBatch batch : MemoryRecords.readableRecords(ByteBuffer.wrap(HEX.parseHex(lines.next()))).batches()) {
        batch.ensureValid();
        System.out.println("batch " + batch.magic() + " " + batch.countOrNull() + " " + batch.compressionType().name + " "
            + batch.maxTimestamp() + " " + batch.producerId() + " " + batch.producerEpoch() + " " + batch.baseSequence() + " "
            + batch.lastOffset());
        for (org.apache.kafka.common.record.Record record : batch) {
          record.ensureValid();
          System.out.println("record " + describe(record));
        }
      }
    }
  }
}
