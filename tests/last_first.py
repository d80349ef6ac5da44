"""An executor that runs the last submitted call first."""

from concurrent.futures import Executor, Future
from threading import Condition, Thread


class LastFirst(Executor):
    """Runs calls in one thread, the last submitted first."""

    def __init__(self, workers=3):
        self._max_workers = workers
        self._todo = []
        self._change = Condition()
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()
        self.ran = []

    def submit(self, function, /, *arguments, **options):
        future = Future()
        with self._change:
            self._todo.append((future, function, arguments))
            self._change.notify()
        return future

    def _work(self):
        while True:
            with self._change:
                self._change.wait_for(lambda: self._todo)
                self._change.wait(0.005)  # for further calls
                future, function, arguments = self._todo.pop()
            if function is None:
                return
            if future.set_running_or_notify_cancel():
                self.ran.append(arguments)
                try:
                    future.set_result(function(*arguments))
                except BaseException as error:
                    future.set_exception(error)

    def shutdown(self, wait=True, *, cancel_futures=False):
        self.submit(None)
        self._thread.join()
