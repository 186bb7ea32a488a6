// Command loadgen keeps a number of connections busy, each with one request at a time, and prints
// one line of JSON: the rate, and how long answers took.
//
// Without -paths it posts entries that were never sent before to -path. With -paths it gets what
// stands in that file, a path a line, from all connections in turn: again and again, or once.
//
// It knows nothing of tlog: any log that takes an entry as a body, whatever it answers, can be
// measured with it. The token comes in BENCH_TOKEN.
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
	paths       = flag.String("paths", "", "file of paths to get, in place of posting")
	once        = flag.Bool("once", false, "get each path once, and end before the time is over")
	connections = flag.Int("connections", 32, "connections")
	seconds     = flag.Float64("seconds", 10, "how long at most")
	size        = flag.Int("size", 600, "bytes of an entry")
)

// outcome is what one connection, and in the end all together, was told.
type outcome struct {
	durations  []time.Duration // of requests that were taken
	bytes      int             // of the bodies of their answers
	errors     int
	firstError string
}

func (o *outcome) add(other outcome) {
	o.durations = append(o.durations, other.durations...)
	o.bytes += other.bytes
	o.errors += other.errors
	if o.firstError == "" {
		o.firstError = other.firstError
	}
}

func (o *outcome) fail(words string) {
	o.errors++
	if o.firstError == "" {
		o.firstError = words
	}
}

func main() {
	flag.Parse()
	token := os.Getenv("BENCH_TOKEN")
	sources := func() source { return newEntries(*path, token, *size) }
	if *paths != "" {
		shared, err := readPaths(*paths, token, *once)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		sources = func() source { return shared }
	}
	start := time.Now()
	end := start.Add(time.Duration(*seconds * float64(time.Second)))
	var all outcome
	var lock sync.Mutex
	var running sync.WaitGroup
	for range *connections {
		running.Add(1)
		go func() {
			defer running.Done()
			mine := keepBusy(sources(), end)
			lock.Lock()
			defer lock.Unlock()
			all.add(mine)
		}()
	}
	running.Wait()
	report(all, time.Since(start))
}

// keepBusy sends one request after the other until end, or until there is none; a broken
// connection is opened again.
func keepBusy(requests source, end time.Time) outcome {
	var mine outcome
	conn, err := dial(*address)
	for time.Now().Before(end) {
		if err != nil {
			mine.fail(err.Error())
			time.Sleep(10 * time.Millisecond)
			conn, err = dial(*address)
			continue
		}
		request := requests.next()
		if request == nil {
			break
		}
		sent := time.Now()
		var status int
		var body []byte
		if status, body, err = conn.ask(request); err != nil {
			conn.close()
			continue
		}
		if status == 200 || status == 201 {
			mine.durations = append(mine.durations, time.Since(sent))
			mine.bytes += len(body)
		} else {
			mine.fail(fmt.Sprintf("%d %s", status, body))
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
		"bytes":       all.bytes,
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
