// Command tessera-server is a Tessera POSIX log whose batch and checkpoint settings are flags: a
// peer to measure against. Its key lives as long as the process.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

var (
	directory = flag.String("directory", "", "where the log is kept")
	listen    = flag.String("listen", "127.0.0.1:0", "HOST:PORT; port 0 takes a free one")
	batch     = flag.Uint("batch", 256, "entries that are integrated at once, at most")
	age       = flag.Duration("age", time.Second, "how long a batch waits to become full, at most")
	publish   = flag.Duration("cp", time.Second, "between two checkpoints, at least")
)

func main() {
	flag.Parse()
	ctx := context.Background()
	appender, err := open(ctx)
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("POST /add", func(w http.ResponseWriter, r *http.Request) {
		entry, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		index, err := appender.Add(r.Context(), tessera.NewEntry(entry))()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "%d", index.Index)
	})
	files := http.FileServer(http.Dir(*directory))
	http.Handle("GET /checkpoint", files)
	http.Handle("GET /tile/", files)
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("ready: http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}

// open makes the log, with the in-memory antispam that Tessera's own conformance server has.
func open(ctx context.Context) (*tessera.Appender, error) {
	private, _, err := note.GenerateKey(rand.Reader, "tessera.example/log")
	if err != nil {
		return nil, err
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		return nil, err
	}
	driver, err := posix.New(ctx, posix.Config{Path: *directory})
	if err != nil {
		return nil, err
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithCheckpointInterval(*publish).
		WithCheckpointRepublishInterval(time.Minute).
		WithBatching(*batch, *age).
		WithAntispam(tessera.DefaultAntispamInMemorySize, nil)
	appender, _, _, err := tessera.NewAppender(ctx, driver, options)
	return appender, err
}
