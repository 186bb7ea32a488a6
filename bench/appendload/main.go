// Command appendload keeps a number of connections busy with POSTs of entries that were never
// sent before, and prints one line of JSON: the rate, and how long answers took.
//
// It knows nothing of tlog: any log that takes an entry as a body, and answers its index in
// decimal or anything else, can be measured with it. The token comes in BENCH_TOKEN.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
	"sync"
	"time"
)

var (
	address     = flag.String("address", "127.0.0.1:8080", "HOST:PORT of the server")
	path        = flag.String("path", "/add", "where entries are posted")
	connections = flag.Int("connections", 32, "connections, each with one request at a time")
	seconds     = flag.Float64("seconds", 10, "how long")
	size        = flag.Int("size", 600, "bytes of an entry")
)

// outcome is what one connection, and in the end all together, was told.
type outcome struct {
	durations  []time.Duration // of requests that were taken
	errors     int
	firstError string
}

func (o *outcome) add(other outcome) {
	o.durations = append(o.durations, other.durations...)
	o.errors += other.errors
	if o.firstError == "" {
		o.firstError = other.firstError
	}
}

func main() {
	flag.Parse()
	start := time.Now()
	end := start.Add(time.Duration(*seconds * float64(time.Second)))
	var all outcome
	var lock sync.Mutex
	var running sync.WaitGroup
	for range *connections {
		running.Add(1)
		go func() {
			defer running.Done()
			mine := keepBusy(end)
			lock.Lock()
			defer lock.Unlock()
			all.add(mine)
		}()
	}
	running.Wait()
	report(all, time.Since(start))
}

// keepBusy sends one entry after the other until end; a broken connection is opened again.
func keepBusy(end time.Time) outcome {
	var mine outcome
	fail := func(words string) {
		mine.errors++
		if mine.firstError == "" {
			mine.firstError = words
		}
	}
	request := newRequest(*path, os.Getenv("BENCH_TOKEN"), *size)
	conn, err := dial(*address)
	for time.Now().Before(end) {
		if err != nil {
			fail(err.Error())
			time.Sleep(10 * time.Millisecond)
			conn, err = dial(*address)
			continue
		}
		bytes := request.next()
		sent := time.Now()
		var status int
		var body []byte
		if status, body, err = conn.ask(bytes); err != nil {
			conn.close()
			continue
		}
		if status == 200 || status == 201 {
			mine.durations = append(mine.durations, time.Since(sent))
		} else {
			fail(fmt.Sprintf("%d %s", status, body))
		}
	}
	if err == nil {
		conn.close()
	}
	return mine
}

func report(all outcome, elapsed time.Duration) {
	sort.Slice(all.durations, func(i, j int) bool { return all.durations[i] < all.durations[j] })
	milliseconds := func(part float64) float64 {
		if len(all.durations) == 0 {
			return 0
		}
		return all.durations[int(float64(len(all.durations)-1)*part)].Seconds() * 1000
	}
	line, err := json.Marshal(map[string]any{
		"ok":          len(all.durations),
		"errors":      all.errors,
		"first_error": all.firstError,
		"seconds":     elapsed.Seconds(),
		"rate":        float64(len(all.durations)) / elapsed.Seconds(),
		"p50_ms":      milliseconds(0.5),
		"p99_ms":      milliseconds(0.99),
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}
