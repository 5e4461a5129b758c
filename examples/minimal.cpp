// Prints every change of a database, from C++: the objects are held by
// unique_ptr, and the callbacks are those of a class.
//   c++ minimal.cpp $(pkg-config --cflags --libs changefeed) -o minimal_cpp
//   ./minimal_cpp http://127.0.0.1:5984/db
#include <changefeed/changefeed.h>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

namespace {

struct Free {
  void operator()(changefeed_options *o) const { changefeed_options_free(o); }
  void operator()(changefeed_loop *l) const { changefeed_loop_free(l); }
};

class Printer {
public:
  explicit Printer(const std::string &url) {
    changefeed_options *o = nullptr;
    changefeed_loop *l = nullptr;
    changefeed_callbacks callbacks = CHANGEFEED_CALLBACKS_INIT;

    check(changefeed_options_new(&o));
    options.reset(o);
    check(changefeed_loop_new(&l, nullptr));
    loop.reset(l);
    callbacks.on_change = on_change;
    callbacks.user = this;
    check(changefeed_options_set(o, "url", url.c_str()));
    check(changefeed_options_set_callbacks(o, &callbacks));
    check(changefeed_open(&feed, l, o));
  }

  void run() {
    check(changefeed_loop_run(loop.get()));
    throw std::runtime_error(changefeed_last_error(feed)->message);
  }

private:
  void check(int rc) const {
    if (rc >= 0)
      return;
    std::string text = options ? changefeed_options_error(options.get()) : "";
    throw std::runtime_error(text.empty() ? changefeed_strerror(rc) : text);
  }

  // C calls it: no exception may leave it.
  static int on_change(changefeed *, const changefeed_change *change,
                       void *user) noexcept {
    return static_cast<Printer *>(user)->print(*change);
  }

  int print(const changefeed_change &change) noexcept {
    std::cout.write(change.id.data,
                    static_cast<std::streamsize>(change.id.len));
    std::cout << (change.flags & CHANGEFEED_DELETED ? " deleted" : " changed")
              << std::endl;
    return std::cout ? CHANGEFEED_CONTINUE : -1;
  }

  std::unique_ptr<changefeed_options, Free> options;
  std::unique_ptr<changefeed_loop, Free> loop; // frees the feed, too
  changefeed *feed = nullptr;
};

} // namespace

int main(int argc, char **argv) try {
  if (argc != 2) {
    std::cerr << "minimal_cpp URL\n";
    return 2;
  }
  Printer(argv[1]).run();
} catch (const std::exception &error) {
  std::cerr << error.what() << '\n';
  return 1;
}
