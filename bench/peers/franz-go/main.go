// franz-go as a contender: reads a job as JSON from its argument and the values, one a line, from standard input; prints
// what it measured as JSON. Every record has one header with an id of its own, and is counted when Kafka has acknowledged it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

type job struct {
	Topic       string   `json:"topic"`
	Brokers     []string `json:"brokers"`
	WarmUpMs    int      `json:"warmUpMs"`
	MeasureMs   int      `json:"measureMs"`
	Compression string   `json:"compression"`
}

// Records not yet acknowledged at most, and their bytes.
const (
	outstanding      = 50_000
	outstandingBytes = 128 << 20
)

// Bytes of Produce requests written.
type wire struct{ bytes atomic.Int64 }

func (w *wire) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, written int, _, _ time.Duration, _ error) {
	if key == 0 {
		w.bytes.Add(int64(written))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func cpuMicros() int64 {
	var usage syscall.Rusage
	fail(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return usage.Utime.Nano()/1000 + usage.Stime.Nano()/1000
}

func codec(name string) kgo.CompressionCodec {
	switch name {
	case "snappy":
		return kgo.SnappyCompression()
	case "zstd":
		return kgo.ZstdCompression()
	case "lz4":
		return kgo.Lz4Compression()
	case "gzip":
		return kgo.GzipCompression()
	default:
		return kgo.NoCompression()
	}
}

func main() {
	var job job
	fail(json.Unmarshal([]byte(os.Args[1]), &job))
	var values [][]byte
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 128<<20)
	for lines.Scan() {
		values = append(values, append([]byte(nil), lines.Bytes()...))
	}
	fail(lines.Err())

	written := new(wire)
	client, err := kgo.NewClient(
		kgo.WithHooks(written),
		kgo.SeedBrokers(job.Brokers...),
		kgo.DefaultProduceTopic(job.Topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(5*time.Millisecond),
		kgo.ProducerBatchMaxBytes(1_000_000),
		kgo.MaxBufferedRecords(min(outstanding, outstandingBytes/len(values[0]))),
		kgo.ProducerBatchCompression(codec(job.Compression)),
	)
	fail(err)
	ctx := context.Background()
	fail(client.Ping(ctx))

	var acknowledged, failed atomic.Int64
	var running atomic.Bool
	running.Store(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for next := 0; running.Load(); next++ {
			id := fmt.Appendf(nil, "%036d", next)
			record := &kgo.Record{
				Value:   values[next%len(values)],
				Headers: []kgo.RecordHeader{{Key: "spillway-id", Value: id}},
			}
			client.Produce(ctx, record, func(_ *kgo.Record, err error) {
				if err != nil {
					failed.Add(1)
				} else {
					acknowledged.Add(1)
				}
			})
		}
	}()

	time.Sleep(time.Duration(job.WarmUpMs) * time.Millisecond)
	from, cpuFrom, bytesFrom, at := acknowledged.Load(), cpuMicros(), written.bytes.Load(), time.Now()
	time.Sleep(time.Duration(job.MeasureMs) * time.Millisecond)
	records, cpu, seconds := acknowledged.Load()-from, cpuMicros()-cpuFrom, time.Since(at).Seconds()
	bytes := written.bytes.Load() - bytesFrom
	running.Store(false)
	<-done
	fail(client.Flush(ctx))
	client.Close()
	if failed.Load() > 0 {
		fail(fmt.Errorf("%d records were not acknowledged", failed.Load()))
	}
	fail(json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"recordsPerSecond":   float64(records) / seconds,
		"cpuMicrosPerRecord": float64(cpu) / float64(max(records, 1)),
		"wireBytesPerRecord": float64(bytes) / float64(max(records, 1)),
	}))
}
