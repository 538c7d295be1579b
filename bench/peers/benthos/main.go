// Benthos (the engine inside Redpanda Connect) as a contender: its http_server input, each POST answered when its output has
// written the record, and an output that waits for Kafka's acknowledgement through franz-go. Prints its port, answers each
// line on standard input with its CPU time, and ends with its parent.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"
)

type job struct {
	Topic   string   `json:"topic"`
	Brokers []string `json:"brokers"`
	Port    int      `json:"port"`
}

const pipeline = `
http: { enabled: false }
logger: { level: ERROR }
input:
  http_server:
    address: 127.0.0.1:%d
    path: /v1/topics/%s/records
    timeout: 20s
output: { franz: {} }
`

// As many as the generator has connections.
const inFlight = 1024

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type output struct {
	client *kgo.Client
	ids    atomic.Int64
}

func (o *output) Connect(ctx context.Context) error { return o.client.Ping(ctx) }

func (o *output) Write(ctx context.Context, message *service.Message) error {
	value, err := message.AsBytes()
	if err != nil {
		return err
	}
	id := fmt.Appendf(nil, "%036d", o.ids.Add(1))
	record := &kgo.Record{Value: value, Headers: []kgo.RecordHeader{{Key: "spillway-id", Value: id}}}
	return o.client.ProduceSync(ctx, record).FirstErr()
}

func (o *output) Close(context.Context) error {
	o.client.Close()
	return nil
}

func cpuMicros() int64 {
	var usage syscall.Rusage
	fail(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return usage.Utime.Nano()/1000 + usage.Stime.Nano()/1000
}

func main() {
	var job job
	fail(json.Unmarshal([]byte(os.Args[1]), &job))
	client, err := kgo.NewClient(
		kgo.SeedBrokers(job.Brokers...),
		kgo.DefaultProduceTopic(job.Topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(0),
		kgo.ProducerBatchMaxBytes(1_000_000),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
	)
	fail(err)
	fail(service.RegisterOutput("franz", service.NewConfigSpec(),
		func(*service.ParsedConfig, *service.Resources) (service.Output, int, error) {
			return &output{client: client}, inFlight, nil
		}))
	builder := service.NewStreamBuilder()
	fail(builder.SetYAML(fmt.Sprintf(pipeline, job.Port, job.Topic)))
	stream, err := builder.Build()
	fail(err)
	go func() { fail(stream.Run(context.Background())) }()

	address := fmt.Sprintf("127.0.0.1:%d", job.Port)
	for {
		connection, err := net.Dial("tcp", address)
		if err == nil {
			fail(connection.Close())
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Println(job.Port)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println(cpuMicros())
	}
}
